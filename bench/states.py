# SPDX-License-Identifier: MIT
"""More rows of the table: states whose struct changes."""

import json
import re

from harness import BENCH, TREE, alternate, first_line, median, quartiles, run_alone
from rows import MS, Row, ms2

# 64 KB each: records as people keep them, and the worst there is: every byte gets wider by itself.
CHANGES = {
    "records": ("int64_t calls; struct { char name[16]; int32_t n; float mean; } rows[2048]; float table[4096];",
                "struct { double mean; int64_t n; char name[32]; } rows[2048]; int64_t calls; float table[5000]; int32_t more;"),
    "bytes": ("int8_t bytes[65536];", "int64_t bytes[65536];"),
}


def image(bench, name, members, template=None):
    """A plugin with a state of these members, compiled as devserve does it; `template`: and what else is in it."""
    text = template or ("DEVSERVE_DEPLOYMENT(\n\t.outputs = DEVSERVE_TENSORS({ \"Y\", DEVSERVE_FP32, { 1 } }),\n"
                        "\t.infer = infer,\n)\n")
    state = (f"struct state {{ {members} }};\nDEVSERVE_STATE(struct state, .version = 1)\n"
             + ("" if template else "static int infer(const struct devserve_call *c) { return !devserve_state(c); }\n"))
    text = re.sub(r"(?=^DEVSERVE_DEPLOYMENT)", lambda _: state, text, flags=re.M)
    text = text.replace("\t.infer = infer,\n", "\t.infer = infer,\n\t.extensions = { DEVSERVE_STATE_EXTENSION },\n")
    source, path = bench.path(f"{name}.c"), bench.path(f"{name}.so")
    source.write_text("#include <devserve/ext/state.h>\n" + text)
    run_alone(["gcc", "-g", "-O3", "-march=native", "-shared", "-fPIC", "-I", str(TREE / "include"), "-o", str(path),
               str(source), "-lopenblas"], bench.path("log"))
    return path


def debug(bench):
    return str(bench.build / "devserve-debug")


def layout(bench, path):
    log = bench.path("layout")
    run_alone([debug(bench), "layout", str(path)], log)
    return str(log)


def pass_on(bench):
    """The slower of the two changes."""
    figures = {}
    for name, (before, after) in CHANGES.items():
        files = [layout(bench, image(bench, f"{name}-{i}", members)) for i, members in enumerate((before, after))]
        figures[name] = [json.loads(first_line([bench.helper("state_pass"), *files])) for _ in range(bench.rounds(9))]
    took = {name: [(f["plan_ns"] + f["apply_ns"]) / MS for f in rounds] for name, rounds in figures.items()}
    slowest = max(took, key=lambda name: median(took[name]))
    copied = [f["memcpy_ns"] for f in figures[slowest]]
    yield Row("state-pass", "a 64 KB state becomes another struct", ms2(median(took[slowest]) * MS),
              f"{ms2(median(copied))} memcpy() of the larger", median(took[slowest]), 1, 0.3, "ms",
              spread=quartiles(took[slowest]), samples={"measured": took, "compared": copied},
              note=", ".join(f"{name}: {1000 * median(ms):.0f} µs" for name, ms in took.items()))


def read_layout(bench):
    """From starting devserve-debug to its end, on a plugin of 160 lines; beside it, starting it for nothing."""
    path = image(bench, "lines", CHANGES["records"][0], (BENCH / "plugins/save_c.c").read_text())
    log, read, started = bench.path("log"), [], []

    for i in range(bench.rounds(60)):
        a, b = alternate(i, lambda: run_alone([debug(bench), "layout", str(path)], log), lambda: run_alone([debug(bench), "backtrace", "0"], log))
        read.append(a / MS)
        started.append(b / MS)
    yield Row("state-layout", "layout of a state, a plugin of 160 lines", f"{median(read):.2f} ms",
              f"{median(started):.2f} ms start of the program", median(read), 5, 3, "ms", spread=quartiles(read),
              samples={"measured": read, "compared": started})


ROWS = {"state-pass": pass_on, "state-layout": read_layout}
