# SPDX-License-Identifier: MIT
"""More rows of the table: many plugins, and many directories, from spawn to server.ready."""

import concurrent.futures
import shutil
import subprocess
import time

from harness import CPUS, TREE, Failure, Server, alternate, median, quartiles
from rows import MS, Row, ms, ratio_row

N_PLUGINS = 50
N_DIRECTORIES = 10000


def small_plugins(bench):
    """A root of N_PLUGINS plugins, no two with the same text."""
    root = bench.path("many")
    text = (TREE / "examples/hello/hello.c").read_text()
    for i in range(N_PLUGINS):
        directory = root / f"p{i:02}"
        directory.mkdir(parents=True)
        (directory / "p.c").write_text(text.replace("2 * x[i]", f"{i + 2} * x[i]"))
    return root


def start_of(bench, root):
    """From spawn to the line server.ready, and what the compilers took by its own account, ns."""
    with Server(bench, root=root) as server:
        compiling = sum(stage["ms"] for event in server.events for stage in event.get("stages", ())
                        if stage["name"] == "gcc")
        return server.opened_ns - server.started_ns, compiling * MS


class Compilers:
    """The commands an author would type for each plugin, as many at once as there are CPUs."""

    def __init__(self, bench, root, *options):
        out = bench.path("objects")
        out.mkdir()
        self.commands = [["gcc", "-O3", "-march=native", "-fPIC", f"-I{TREE / 'include'}", source, "-o",
                          out / source.parent.name, *options] for source in sorted(root.glob("*/p.c"))]

    @staticmethod
    def run(argv):
        said = subprocess.run(argv, capture_output=True, text=True)
        if said.returncode:
            raise Failure(said.stderr)

    def __call__(self):
        began = time.monotonic_ns()
        with concurrent.futures.ThreadPoolExecutor(len(CPUS)) as pool:
            list(pool.map(self.run, self.commands))
        return time.monotonic_ns() - began


def many(bench):
    root = small_plugins(bench)
    linked, alone = Compilers(bench, root, "-shared", "-lopenblas"), Compilers(bench, root, "-c")
    ours, theirs, compiled, stages, again = [], [], [], [], []

    def first():
        shutil.rmtree(root / ".devserve", ignore_errors=True)
        took, compiling = start_of(bench, root)
        stages.append(took / (compiling / len(CPUS)))
        return took

    for i in range(bench.rounds(5)):
        bench.say(f"first-50: round {i + 1}")
        a, b = alternate(i, first, linked)
        ours.append(a)
        theirs.append(b)
        compiled.append(a / alone())
        again.append(start_of(bench, root)[0])
    yield ratio_row("first-50", "first start, 50 plugins, nothing known", ours, theirs, ms,
                    f"gcc, {len(CPUS)} at once", must=1.1, aim=1.0,
                    note=f"{median(stages):.2f} of its own compile times added up over the CPUs, "
                         f"{median(compiled):.2f} of gcc -c, which links nothing")
    yield Row("restart-50", "start, 50 known images → server.ready", ms(median(again)), "–", median(again) / MS, 300, 150,
              "ms", spread=tuple(q / MS for q in quartiles(again)), samples={"measured": again})


def directories(bench):
    root = bench.path("directories")
    shutil.copytree(TREE / "examples/hello", root / "hello")
    for i in range(N_DIRECTORIES // 100):
        for j in range(100):
            (root / f"hello/d{i}/e{j}").mkdir(parents=True)
    start_of(bench, root)
    opened = []
    for i in range(bench.rounds(9)):
        bench.say(f"start-10000: {i + 1}")
        opened.append(start_of(bench, root)[0])
    yield Row("start-10000", "start, 10,000 directories → server.ready", ms(median(opened)), "–", median(opened) / MS,
              300, 150, "ms", spread=tuple(q / MS for q in quartiles(opened)), samples={"measured": opened})


ROWS = {"first-50": many, "restart-50": many, "start-10000": directories}
