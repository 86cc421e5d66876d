# SPDX-License-Identifier: MIT
"""More rows of the table: whether what is told of a save's speed is true, and in time.

All through a server, as an author sees it: a file is saved, and the event `verdict` is waited for.
`plugins/planted.c` does a known amount of work, so what ought to be told is known.
"""

import collections
import contextlib
import http.client
import random
import re
import time

from harness import BENCH, PATIENCE, TREE, Failure, Server, end, median, start
from rows import Row

PLANTED = (BENCH / "plugins/planted.c").read_text()
US = {"chain": 600, "vector": 20000, "memory": 5000, "product": 60, "gather": 950}  # work of a microsecond, roughly
TIMES_US = [1, 10, 100, 1000, 10000]
CELLS = [(kind, us) for kind in US for us in TIMES_US if kind != "memory" or us >= 1000]
SHIPPED = {"simple": {"INPUT0": ("INT32", [1, 16]), "INPUT1": ("INT32", [1, 16])},
           "softmax": {"INPUT0": ("FP32", [1, 1024])},
           "matmul": {"INPUT0": ("FP32", [1, 64, 64]), "INPUT1": ("FP32", [1, 64, 64])}}


class Author:
    """Somebody who saves kernels whose work is known, and reads what is told of their speed."""

    def __init__(self, bench, shipped=(), seed=1):
        self.bench, self.random, self.generation = bench, random.Random(seed), {}
        self.saved_ns = self.told_s = 0
        root = bench.path("plugins")
        root.mkdir()
        self.names = {cell: f"{cell[0]}_{cell[1]}us" for cell in CELLS}
        for cell in CELLS:
            (root / f"{self.names[cell]}.c").write_text(self.text(cell, 1))
        for name in shipped:
            (source,) = [s for s in (TREE / "plugins" / name).iterdir() if s.suffix in (".c", ".cc")]
            (root / source.name).write_text(source.read_text())
        self.server = Server(bench, root=root, env={"DEVSERVE_NO_VERDICT": "no"})
        for cell in CELLS:
            self.ask(self.names[cell], {"X": ("FP32", [1])})
        for name in shipped:
            self.ask(name, SHIPPED[name])

    def text(self, cell, factor):
        kind, us = cell
        values = {"KIND": kind, "WORK": round(US[kind] * us * factor), "VARIANT": self.random.randrange(1, 10**9),
                  "PLACE": self.random.randrange(4)}
        return re.sub(r"^#define (KIND|WORK|VARIANT|PLACE) .*$", lambda m: f"#define {m[1]} {values[m[1]]}", PLANTED,
                      flags=re.M)

    def ask(self, name, inputs):
        tensors = []
        for tensor, (datatype, shape) in inputs.items():
            n = 1
            for extent in shape:
                n *= extent
            tensors.append({"name": tensor, "datatype": datatype, "shape": shape, "data": [1 + i % 7 for i in range(n)]})
        body = str({"inputs": tensors}).replace("'", '"').encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("POST", f"/v2/models/{name}/infer", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            if response.read() and response.status != 200:
                raise Failure(f"{name}: {response.status}")

    def save(self, file, text):
        """Save it; what is told, with `told_s`, the seconds from the save to that."""
        name, mark = file.partition(".")[0], self.server.mark()
        at, done = self.server.save_and_wait(file, text)
        told = self.server.wait("verdict", mark, deployment=name, generation=done["generation"])
        told["told_s"] = (told["at_ns"] - at) / 1e9
        return told

    def save_cell(self, cell, factor):
        return self.save(f"{self.names[cell]}.c", self.text(cell, factor))


@contextlib.contextmanager
def neighbour(yes):
    """Somebody who burns a processor, and ends with us even where we are killed."""
    burn = "while kill -0 $PPID 2>&-; do i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done; done"
    process = start(["sh", "-c", burn]) if yes else None
    try:
        yield
    finally:
        if process:
            end(process)


def tell(counts):
    return ", ".join(f"{counts[kind]} {kind}" for kind in ("FASTER", "SLOWER", "SAME", "UNSURE") if counts[kind])


def rounds_of(author, bench, factor, noisy, n):
    """n saves of each cell to `factor` of the work, and back each time: [(cell, verdict there, back)]."""
    found = []
    with neighbour(noisy):
        for i in range(n):
            for cell in CELLS:
                bench.say(f"verdict: {factor} × the work, {author.names[cell]}, save {i + 1}{' beside a neighbour' * noisy}")
                found.append((cell, author.save_cell(cell, factor), author.save_cell(cell, 1)))
    return found


def missed(found, wanted):
    cells = collections.Counter(f"{kind} {us} µs" for (kind, us), told, _ in found if told["verdict"] != wanted)
    return "; missed: " + ", ".join(f"{n} × {cell}" for cell, n in cells.items()) if cells else ""


def planted(bench):
    """A slow-down of 3 % is found, one of 1.5 % never called faster; and in time."""
    n = 1 if bench.quick else 5
    author = Author(bench)
    with author.server:
        for noisy in False, True:
            beside = "-neighbour" if noisy else ""
            found = rounds_of(author, bench, 1.03, noisy, n)
            there = collections.Counter(told["verdict"] for _, told, _ in found)
            back = collections.Counter(told["verdict"] for _, _, told in found)
            yield Row(f"slower-3{beside}", f"3 % slower: found{', a neighbour burns a CPU' * noisy}", tell(there), "–",
                      100 * there["SLOWER"] / len(found), 50 if noisy else 95, 95 if noisy else 99, "%", higher=True,
                      note=f"{len(found)} saves of {len(CELLS)} kernels, 1 µs to 10 ms; and back, 3 % faster: "
                           f"{tell(back)}{missed(found, 'SLOWER')}")
            times = [told["told_s"] for _, *both in found for told in both]
            if not noisy:
                yield Row("verdict", "save → verdict, 1 µs … 10 ms", f"{median(times):.2f} s", "–", max(times), 1, 0.5,
                          "s", note="the slowest of all", samples={"measured": times})
            found = rounds_of(author, bench, 1.015, noisy, n)
            there = collections.Counter(told["verdict"] for _, told, _ in found)
            back = collections.Counter(told["verdict"] for _, _, told in found)
            yield Row(f"slower-1.5{beside}", f"1.5 % slower: called faster{', a neighbour burns a CPU' * noisy}",
                      tell(there), "–", there["FASTER"] + back["SLOWER"], 0, 0, "times",
                      note=f"{len(found)} saves; and back, counted the other way round: {tell(back)}")


# What nobody would call a change of the work; {0} is a number.
BYTES = ["int other_{0}(int a);\n__attribute__((used)) int other_{0}(int a)\n{{\n\treturn a * {0} + 1;\n}}\n",
         "static const char *volatile name_{0} = \"number {0}\";\n__attribute__((used)) const char *get_{0}(void);\n"
         "const char *get_{0}(void)\n{{\n\treturn name_{0};\n}}\n"]


def vary(text, n):
    """The same work in other bytes: something before it, or behind it."""
    piece = BYTES[n % len(BYTES)].format(n)
    if n % 4 < 2:
        return f"{text}\n#ifndef __cplusplus\n{piece}#else\nextern \"C\" {{\n{piece}}}\n#endif\n"
    head, at, rest = text.partition("#include <devserve/deployment.h>\n")
    return f"{head}{at}#ifdef __cplusplus\nextern \"C\" {{\n{piece}}}\n#else\n{piece}#endif\n{rest}"


def alike(bench):
    """Saves that differ in bytes and not in work: called faster or slower."""
    n = 25 if bench.quick else 200
    author = Author(bench, shipped=SHIPPED)
    sources = {name: next(s for s in author.server.root.iterdir() if s.stem == name) for name in SHIPPED}
    texts = {name: source.read_text() for name, source in sources.items()}
    with author.server:
        for noisy in False, True:
            counts, wrong = collections.Counter(), []
            with neighbour(noisy):
                for i in range(n):
                    which = author.random.choice(CELLS + 3 * list(SHIPPED))
                    bench.say(f"verdict: A/A save {i + 1} of {n}{' beside a neighbour' * noisy}")
                    if which in SHIPPED:
                        told = author.save(sources[which].name, vary(texts[which], i + 1000 * noisy))
                    else:
                        told = author.save_cell(which, 1)
                    counts[told["verdict"]] += 1
                    if told["verdict"] in ("FASTER", "SLOWER"):
                        wrong.append(f"{told['deployment']} {told['verdict']} {told['interval']} control {told['control']:.4f}")
            yield Row(f"alike{'-neighbour' if noisy else ''}",
                      f"{n} saves of the same work: called otherwise{', a neighbour burns a CPU' * noisy}",
                      tell(counts), "–", len(wrong), 2 * n / 200, 0, "times", note="; ".join(wrong))


ROWS = {"slower-3": planted, "verdict": planted, "slower-1.5": planted, "slower-3-neighbour": planted,
        "slower-1.5-neighbour": planted, "alike": alike, "alike-neighbour": alike}
