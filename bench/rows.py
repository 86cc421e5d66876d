# SPDX-License-Identifier: MIT
"""The rows of the table. Each function measures a few of them and yields a Row for each.

What is compared is measured in turn, round by round, so that a neighbour who takes the
machine for a second takes it from both; README.md says of each row why that is fair.
"""

import array
import contextlib
import dataclasses
import json
import os
import re
import time

from harness import (BENCH, OTHERS, PINNED, TREE, Echo, Failure, Load, Server, alternate, binary_request, cpu_ns,
                     end, first_line, json_request, load, median, memory_kb, quartiles, run_alone, start)

PLUGINS = TREE / "plugins"
THREE = [PLUGINS / name for name in ("matmul", "simple", "softmax")]
MS = 1e6  # ns


@dataclasses.dataclass
class Row:
    name: str
    what: str
    measured: str          # with its unit
    compared: str          # with its unit and what it is
    value: float           # what `must` and `aim` are about
    must: float
    aim: float
    unit: str = ""         # of these three; "": a ratio
    higher: bool = False   # is better
    spread: tuple = ()     # quartiles of the value over the rounds
    note: str = ""
    samples: dict = dataclasses.field(default_factory=dict)

    def meets(self, goal):
        return self.value >= goal if self.higher else self.value <= goal

    @property
    def verdict(self):
        return "aim" if self.meets(self.aim) else "must" if self.meets(self.must) else "NO"


def ratio_row(name, what, ours, theirs, show, compared, **rest):
    """`ours` and `theirs`: one value a round. The ratio is the median of the rounds' ratios."""
    ratios = [a / b for a, b in zip(ours, theirs)]
    return Row(name, what, show(median(ours)), f"{show(median(theirs))} {compared}",
               median(ratios), spread=quartiles(ratios),
               samples={"measured": ours, "compared": theirs}, **rest)


def ms(ns):
    return f"{ns / MS:.1f} ms"


def rate(per_second):
    return f"{per_second / 1000:.1f}k/s" if per_second >= 1000 else f"{per_second:.1f}/s"


# Requests

def integers():
    return array.array("i", range(16))


def simple_inputs():
    return [("INPUT0", "INT32", [1, 16], integers()), ("INPUT1", "INT32", [1, 16], integers())]


def floats(n):
    return array.array("f", [0.5]) * n


def simple_file(bench, port, make=binary_request):
    return bench.file("simple.http", make(port, "simple", simple_inputs()))


# Saves: 1, 2, 3

SAVED = {
    "save_c.c": ("C", r"(#define TEMPERATURE )\S+", ("X", "FP32", [1, 64], floats(64)),
                 ["gcc", "-O3", "-march=native", "-shared", "-fPIC"]),
    "save_cc.cc": ("C++", r"(#define SHIFT )\S+", ("QUERY", "FP32", [1, 64], floats(64)),
                   ["g++", "-O3", "-march=native", "-shared", "-fPIC"]),
}


class Author:
    """Somebody who saves one of SAVED while the server works for others.

    Two loads run from start to stop: 200 requests a second to `simple`, and, to see the
    first answer of each generation, `probe` requests a second to the deployment saved.
    """

    def __init__(self, bench, file, probe, gate="load"):
        self.bench, self.file, self.n, self.gate = bench, file, 0, gate
        self.template = (BENCH / "plugins" / file).read_text()
        self.language, self.pattern, tensor, self.compiler = SAVED[file]
        self.server = Server(bench, BENCH / "plugins" / file, PLUGINS / "simple",
                             env={"DEVSERVE_GATE": gate, "DEVSERVE_NO_VERDICT": "no"})
        port, name = self.server.port, file.partition(".")[0]
        self.loads = [Load(bench, port, simple_file(bench, port), "-r", 200, "-c", 4),
                      Load(bench, port, bench.file("probe.http", binary_request(port, name, [tensor])),
                           "-r", probe, log=True)]
        self.saves = []  # (ns of close(), generation, save.done)
        self.aside = bench.path("aside")
        self.aside.mkdir()

    def text(self, n):
        """Each another; with a gate that compares answers they differ in the last digits alone."""
        value = f"{n}.5f" if self.gate == "load" else f"1.0f + {n} * 0x1p-22f"
        return re.sub(self.pattern, rf"\g<1>{value}", self.template)

    def new_text(self):
        self.n += 1
        return self.text(self.n)

    def save(self, text):
        at, done = self.server.save_and_wait(self.file, text)
        self.saves.append((at, done["generation"], done))
        time.sleep(0.3)  # what the server does after a save belongs to neither side

    def compile(self, text):
        """What the author would type, on the same text, elsewhere; ns."""
        (self.aside / self.file).write_text(text)
        took = run_alone([*self.compiler, "-I", str(TREE / "include"), "-o", str(self.aside / "x.so"),
                          str(self.aside / self.file), "-lopenblas"], self.aside / "log")
        time.sleep(0.3)
        return took

    def stop(self):
        """ns from each close() to the first byte of an answer of that generation."""
        background, probe = [one.stop() for one in self.loads]
        self.server.stop()
        first = {}
        for ns, generation in probe["log"]:
            first.setdefault(generation, ns)
        missing = [g for _, g, _ in self.saves if g not in first]
        if missing:
            raise Failure(f"no answer named generation {missing}")
        self.background = background
        return [first[generation] - at for at, generation, _ in self.saves]


def stage_times(saves):
    """Median ms of each stage, as the server tells them; one that a save doesn't have took it nothing."""
    told = [{stage["name"]: stage["ms"] for stage in done["stages"]} for _, _, done in saves]
    names = dict.fromkeys(name for stages in told for name in stages)
    medians = {name: round(median([stages.get(name, 0) for stages in told]), 2) for name in names}
    return {name: value for name, value in medians.items() if value}


def tell_stages(saves):
    return ", ".join(f"{name} {value:.1f}" for name, value in stage_times(saves).items())


def save(bench, name, file, must, aim, gate="load"):
    author = Author(bench, file, probe=500, gate=gate)
    theirs = []
    author.compile(author.new_text())
    for i in range(bench.rounds(15)):
        text = author.new_text()
        bench.say(f"{name}: save {i + 1}")
        theirs.append(alternate(i, lambda: author.save(text), lambda: author.compile(text))[1])
    ours = author.stop()
    yield ratio_row(name, f"{author.language} plugin: save → first new answer", ours, theirs,
                    ms, " ".join(author.compiler[:2]) + " …", must=must, aim=aim,
                    note=f"ms: {tell_stages(author.saves)}; the load waited "
                         f"{author.background['p50_us'] / 1000:.2f}, p99 "
                         f"{author.background['p99_us'] / 1000:.2f}, at most "
                         f"{author.background['max_us'] / 1000:.1f}")


def save_c(bench):
    return save(bench, "save-c", "save_c.c", 1.0, 0.75)


def save_proved(bench):
    return save(bench, "save-proved", "save_c.c", 1.1, 0.85, gate="replay")


def proof(bench):
    """The trial of a save in turn on a server that proves it by 64 recordings and on one that only loads it."""
    servers = [Server(bench, BENCH / "plugins/save_c.c", env={"DEVSERVE_GATE": gate}) for gate in ("replay", "load")]
    template = (BENCH / "plugins/save_c.c").read_text()
    pattern = SAVED["save_c.c"][1]
    requests = [bench.file(f"rows{n}.http", binary_request(s.port, "save_c", [("X", "FP32", [n, 64], floats(64 * n))]))
                for s in servers[:1] for n in range(1, 33)]
    for request in requests:
        load(bench, servers[0].port, request, 1, 0.05)
    took, plain, proofs = [], [], []
    for i in range(bench.rounds(9)):
        bench.say(f"proof: save {i + 1}")
        for server, times in zip(servers, (took, plain)):
            text = re.sub(pattern, rf"\g<1>1.0f + {i + 1} * 0x1p-22f", template)
            done = server.save_and_wait("save_c.c", text)[1]
            times.append(next(s["ms"] for s in done["stages"] if s["name"] == "trial") * MS)
            if server is servers[0]:
                proofs.append(done["proof"])
            time.sleep(0.3)
    for server in servers:
        server.stop()
    extra = [a - b for a, b in zip(took, plain)]
    yield Row("proof", "trial with the last requests, minus without", ms(median(extra)), f"{ms(median(plain))} the trial alone",
              median(extra) / MS, must=15, aim=5, unit="ms", spread=[q / MS for q in quartiles(extra)],
              note=f"{median([p['requests'] for p in proofs]):.0f} requests, {median([p['left_out'] for p in proofs]):.0f} "
                   f"left out; running and comparing them took {median([p['took_ms'] for p in proofs]):.2f} ms")


def save_cc(bench):
    return save(bench, "save-cc", "save_cc.cc", 1.1, 0.9)


def undo(bench):
    author = Author(bench, "save_c.c", probe=1000)
    texts = [author.text(0), author.text(1)]
    for text in texts:
        author.save(text)
    author.saves.clear()
    for i in range(bench.rounds(21)):
        bench.say(f"undo: save {i + 1}")
        author.save(texts[i % 2])
    took = author.stop()
    cached = sum(bool(done.get("cached")) for _, _, done in author.saves)
    yield Row("undo", "undo, save → first new answer", ms(median(took)), "–",
              median(took) / MS, 20, 12, "ms", spread=tuple(q / MS for q in quartiles(took)),
              samples={"measured": took},
              note=f"ms: {tell_stages(author.saves)}; {cached} of {len(took)} from the store")


# Swaps: 4, 5

WINDOW = 150 * MS       # on each side of a swap
QUIET = (200 * MS, 500 * MS)  # after it: a window of the same length without one


class Swapper:
    """A server whose deployment is saved back and forth between two known images."""

    def __init__(self, bench):
        self.bench, self.n = bench, 0
        self.server = Server(bench, BENCH / "plugins/save_c.c")
        template = (BENCH / "plugins/save_c.c").read_text()
        self.texts = [re.sub(SAVED["save_c.c"][1], rf"\g<1>{n}.5f", template) for n in (1, 2)]
        for _ in self.texts:
            self.swap()
        request = binary_request(self.server.port, "save_c", [SAVED["save_c.c"][2]])
        self.request = bench.file("swapped.http", request)

    def swap(self):
        self.n += 1
        return self.server.save_and_wait("save_c.c", self.texts[self.n % 2])[1]


def longest_gap(times, begin, finish):
    """Between answers that follow each other, of which one at least is in the window."""
    inside = [i for i, t in enumerate(times) if begin <= t <= finish]
    if not inside:
        return finish - begin
    reach = range(max(inside[0], 1), min(inside[-1] + 2, len(times)))
    return max(times[i] - times[i - 1] for i in reach)


def gap(bench):
    swapper = Swapper(bench)
    generations = []
    client = Load(bench, swapper.server.port, swapper.request, log=True)
    time.sleep(0.5)
    for i in range(bench.rounds(45)):
        bench.say(f"gap: swap {i + 1}")
        generations.append(swapper.swap()["generation"])
        time.sleep(0.65)
    log = client.stop()["log"]
    swapper.server.stop()
    times = [ns for ns, _ in log]
    first = {}
    for ns, generation in log:
        first.setdefault(generation, ns)
    at = [first[g] for g in generations]
    swaps = [longest_gap(times, t - WINDOW, t + WINDOW) for t in at]
    quiet = [longest_gap(times, t + QUIET[0], t + QUIET[1]) for t in at]
    beyond = [s - median(quiet) for s in swaps]
    exact = [longest_gap(times, t, t) for t in at]
    yield Row("gap", "longest gap at a swap, beyond one without", ms2(median(swaps)),
              f"{ms2(median(quiet))} without a swap", median(beyond) / MS, 1, 0.3, "ms",
              spread=tuple(q / MS for q in quartiles(beyond)),
              samples={"swaps": swaps, "quiet": quiet, "at_the_swap": exact},
              note=f"{len(swaps)} swaps; old answer → new answer {ms2(median(exact))}")


def ms2(ns):
    return f"{ns / MS:.2f} ms"


def memory(bench):
    last = 200 if bench.quick else 1000
    swapper = Swapper(bench)
    sizes = {}
    for i in range(1, last + 1):
        swapper.swap()
        if i % 10 == 0:
            bench.say(f"memory: swap {i}")
        if i in (50, last):
            time.sleep(0.5)
            sizes[i] = memory_kb(swapper.server.process.pid, swapper.server.root)
    swapper.server.stop()
    before, after = (sum(sizes[i].values()) for i in (50, last))
    parts = ", ".join(f"{part} {sizes[last][part] - sizes[50][part]:+}" for part in sizes[50])
    yield Row("memory", f"memory a swap, {last} swaps", f"{after / 1024:.1f} MB",
              f"{before / 1024:.1f} MB after 50", (after - before) / (last - 50), 1, 0.1, "KB",
              samples={"after_50": sizes[50], "after_all": sizes[last]}, note=f"KB: {parts}")


# Requests: 6, 7, 8, 9

def cell(bench, port, request, connections, seconds):
    return load(bench, port, request, connections, bench.seconds(seconds), "-w", 0.15, *PINNED)


def costed(bench, pid, *args):
    """The same, and what it cost the server: its processor time, µs a request."""
    before = cpu_ns(pid)
    result = cell(bench, *args)
    result["server_us"] = (cpu_ns(pid) - before) / 1000 / result["all_answers"]
    return result


def serving(bench):
    """`simple` against the echo, with requests and answers of the same sizes."""
    with Server(bench, PLUGINS / "simple", cpus=OTHERS) as server, contextlib.ExitStack() as stack:
        echoes, files = {}, {}
        for form, make in ("binary", binary_request), ("json", json_request):
            files[form] = simple_file(bench, server.port, make)
            sizes = cell(bench, server.port, files[form], 1, 0.1)
            echoes[form] = Echo(bench, sizes["head_bytes"] + sizes["body_bytes"], cpus=OTHERS)
            stack.callback(echoes[form].stop)
        cells = {("binary", 64): [], ("json", 64): [], ("binary", 4): [], ("binary", 1): []}
        for i in range(bench.rounds(15)):
            for (form, connections), results in cells.items():
                bench.say(f"{form} c={connections}: round {i + 1}")
                results.append(alternate(
                    i, lambda: costed(bench, server.process.pid, server.port, files[form], connections, 0.5),
                    lambda: costed(bench, echoes[form].process.pid, echoes[form].port, files[form],
                                   connections, 0.5)))
    yield from serving_rows(cells)


def costs(pairs):
    """What a request costs each server, of `costed` pairs."""
    ours, theirs = (median(one["server_us"] for one in side) for side in zip(*pairs))
    return f"server {ours:.1f} µs of processor time a request, echo {theirs:.1f}"


def serving_rows(cells):
    for form, connections, must, aim in (("binary", 64, 0.60, 0.80), ("json", 64, 0.55, 0.75),
                                         ("binary", 4, 0.60, 0.90)):
        ours, theirs = ([one["per_second"] for one in side] for side in zip(*cells[form, connections]))
        p50 = median(one["p50_us"] for one, _ in cells[form, connections])
        yield ratio_row(f"c{connections}-{form}", f"`simple`, {form}, {connections} connections", ours,
                        theirs, rate, "echo", must=must, aim=aim, higher=True,
                        note=f"p50 {p50:.0f} µs; {costs(cells[form, connections])}")
    ours, theirs = ([one["p50_us"] for one in side] for side in zip(*cells["binary", 1]))
    per_second = median(one["per_second"] for one, _ in cells["binary", 1])
    yield ratio_row("c1", "`simple`, binary, 1 connection, p50", ours, theirs,
                    lambda us: f"{us:.1f} µs", "echo", must=1.2, aim=0.8,
                    note=f"{rate(per_second)}; {costs(cells['binary', 1])}")


# The gate: 6b

def gate(bench):
    """What judging a head costs, of what a whole request takes when the server has nothing else to do."""
    gates, wholes = [], []
    with Server(bench, PLUGINS / "simple", cpus=OTHERS) as server:
        request = simple_file(bench, server.port)
        for i in range(bench.rounds(9)):
            bench.say(f"gate: round {i + 1}")
            one, whole = alternate(i, lambda: first_line([bench.helper("gate"), request]),
                                   lambda: cell(bench, server.port, request, 64, 0.5))
            gates.append(json.loads(one)["median_ns"])
            wholes.append(1e9 / whole["per_second"])
    percents = [100 * a / b for a, b in zip(gates, wholes)]
    yield Row("gate", "judging a request's head, of a whole small request", f"{median(gates):.0f} ns",
              f"{median(wholes):.0f} ns at 64 connections", median(percents), 3, 2, "%",
              spread=quartiles(percents), samples={"measured": gates, "compared": wholes})


LARGE = 4 * 1024 * 1024  # elements: 16 MB


def large(bench):
    """In and out bytes a second, 2 x 16 MB in, 16 MB out, one connection."""
    ours, theirs, kernel = [], [], []
    with Server(bench, BENCH / "plugins/add_large.c", cpus=OTHERS) as server:
        inputs = [(name, "FP32", [LARGE], floats(LARGE)) for name in "AB"]
        request = bench.file("large.http", binary_request(server.port, "add_large", inputs))
        size = cell(bench, server.port, request, 1, 0.5)
        echo = Echo(bench, size["head_bytes"] + size["body_bytes"], sink=True, cpus=OTHERS)

        def one(port):
            result = cell(bench, port, request, 1, 1.5)
            return result["per_second"] * (result["request_bytes"] + result["body_bytes"]) / 1e9

        def devserve():
            before = server.compute_ns("add_large")
            result = one(server.port)
            after = server.compute_ns("add_large")
            kernel.append((after[0] - before[0]) / max(1, after[1] - before[1]))
            return result

        for i in range(bench.rounds(9)):
            bench.say(f"large: round {i + 1}")
            a, b = alternate(i, devserve, lambda: one(echo.port))
            ours.append(a)
            theirs.append(b)
        echo.stop()
    bytes_moved = size["request_bytes"] + size["body_bytes"]
    without = median(bytes_moved / (bytes_moved / a - k) / b for a, b, k in zip(ours, theirs, kernel))
    yield ratio_row("large", "2 × 16 MB in, 16 MB out", ours, theirs,
                    lambda gb: f"{gb:.2f} GB/s", "echo", must=0.75, aim=0.9, higher=True,
                    note=f"kernel {ms(median(kernel))} a call; without it {without:.2f}")


# Processor time: 10

def share(pid, seconds):
    """Percent of one processor that a tree of processes takes."""
    before, began = cpu_ns(pid), time.monotonic_ns()
    time.sleep(seconds)
    return 100 * (cpu_ns(pid) - before) / (time.monotonic_ns() - began)


def processor(bench):
    seconds, rounds = bench.seconds(2), bench.rounds(5)
    with Server(bench, *THREE) as server:
        pid = server.process.pid
        request = simple_file(bench, server.port)
        size = cell(bench, server.port, request, 1, 0.1)
        echo = Echo(bench, size["head_bytes"] + size["body_bytes"])

        def busy(port, of):
            client = Load(bench, port, request, "-r", 100, "-c", 4)
            time.sleep(0.2)
            percent = share(of, seconds)
            client.stop()
            return percent

        time.sleep(2)
        idle, ours, theirs = [], [], []
        for i in range(rounds):
            bench.say(f"processor: round {i + 1}")
            idle.append(share(pid, seconds))
            a, b = alternate(i, lambda: busy(server.port, pid),
                             lambda: busy(echo.port, echo.process.pid))
            ours.append(a)
            theirs.append(b)
        echo.stop()
    yield Row("cpu-idle", "processor time, idle", f"{median(idle):.3f} %", "–",
              median(idle), 0.05, 0.05, "%", spread=quartiles(idle), samples={"measured": idle})
    yield Row("cpu-100", "processor time at 100 requests/s", f"{median(ours):.2f} %",
              f"{median(theirs):.2f} % echo", median(ours), 2, 1, "%", spread=quartiles(ours),
              samples={"measured": ours, "compared": theirs})


# The kernel: 11

def matmul(bench):
    calls = 20 if bench.quick else 40
    ours, theirs = [], []
    with Server(bench, PLUGINS / "matmul") as server:
        inputs = [(name, "FP32", [1, 1024, 1024], floats(1024 * 1024)) for name in ("INPUT0", "INPUT1")]
        request = bench.file("matmul.http", binary_request(server.port, "matmul", inputs))

        def served():
            before = server.compute_ns("matmul")
            load(bench, server.port, request, 1, 60, "-n", calls)
            after = server.compute_ns("matmul")
            return (after[0] - before[0]) / (after[1] - before[1])

        def bare():
            process = start([bench.helper("gemm_bare"), "-n", calls], stdout=-1)
            out = process.communicate()[0]
            end(process)
            return json.loads(out)["mean_ns"]

        served()
        for i in range(bench.rounds(9)):
            bench.say(f"matmul: round {i + 1}")
            a, b = alternate(i, served, bare)
            ours.append(a)
            theirs.append(b)
    flops = 2 * 1024**3 / median(ours)
    yield ratio_row("matmul", "`matmul` 1024³ in the worker", ours, theirs, ms, "bare loop",
                    must=1.02, aim=1.005, note=f"{flops:.0f} GFLOP/s")


# Starting: 12

def starting(bench):
    with Server(bench, *THREE) as server:
        root = server.root
    opened, all_ready = [], []
    for i in range(bench.rounds(9)):
        bench.say(f"start: {i + 1}")
        with Server(bench, root=root) as server:
            opened.append(server.opened_ns - server.started_ns)
            all_ready.append(server.ready_ns - server.started_ns)
    yield Row("start", "start, 3 known images → server.ready", ms(median(opened)), "–",
              median(opened) / MS, 150, 60, "ms", spread=tuple(q / MS for q in quartiles(opened)),
              samples={"measured": opened, "all_serve": all_ready},
              note=f"all three serve after {ms(median(all_ready))}")


# name of each row -> the function that measures it, in the order of the table
ROWS = {
    "save-c": save_c, "save-cc": save_cc, "save-proved": save_proved, "proof": proof, "undo": undo, "gap": gap, "memory": memory,
    "c64-binary": serving, "c64-json": serving, "c4-binary": serving, "c1": serving,
    "gate": gate, "large": large, "cpu-idle": processor, "cpu-100": processor, "matmul": matmul,
    "start": starting,
}
