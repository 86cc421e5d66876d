# SPDX-License-Identifier: MIT
"""What a shadow costs those who serve: the same server with and without one."""

import json
import os
import pathlib
import subprocess

from harness import OTHERS, Failure, Server, alternate, binary_request, median
from rows import BENCH, PLUGINS, cell, floats, rate, ratio_row, simple_inputs

LARGE = 1024 * 1024  # elements: 4 MB


def ask(bench, server, *words):
    said = subprocess.run([bench.build / "devserve", *words, "--root", server.root], capture_output=True, text=True)
    if said.returncode:
        raise Failure(said.stderr)


def facts(server, name):
    token = json.loads((server.root / ".devserve/run.json").read_text())["token"]
    deployments = json.loads(server.get("/-/status", token)[1])["deployments"]
    return next(d for d in deployments if d["name"] == name)["companion"]


def own_ns(pid):
    """Processor time of that process alone, whatever it started."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def measure(bench, row, plugin, inputs, connections, seconds, rounds):
    """Pairs of results, of a server whose generation has itself for a shadow, and of one without."""
    name, pairs = plugin.name.partition(".")[0], []
    with Server(bench, plugin, cpus=OTHERS) as one, Server(bench, plugin, cpus=OTHERS) as other:
        files = {s: bench.file(f"{row}.http", binary_request(s.port, name, inputs)) for s in (one, other)}

        def run(server):
            before = own_ns(server.process.pid)
            result = cell(bench, server.port, files[server], connections, seconds)
            result["own_us"] = (own_ns(server.process.pid) - before) / 1000 / result["all_answers"]
            return result

        ask(bench, one, "shadow", name, "1")
        run(one), run(other)  # what is saved up at the start is spent
        for i in range(bench.rounds(rounds)):
            bench.say(f"{row}: round {i + 1}")
            pairs.append(alternate(i, lambda: run(one), lambda: run(other)))
        seen = facts(one, name)
    return pairs, f"{100 * seen['compared'] / (seen['compared'] + seen['dropped']):.0f} % of the calls were copied"


def row(name, what, pairs, note, must, aim):
    ours, theirs = ([one["own_us"] for one in side] for side in zip(*pairs))
    speeds = [median(one["per_second"] for one in side) for side in zip(*pairs)]
    return ratio_row(name, what, ours, theirs, lambda us: f"{us:.1f} µs", "without", must=must, aim=aim,
                     note=f"processor time of the server a request; {rate(speeds[0])}, without {rate(speeds[1])}; {note}")


def shadow(bench):
    """A second generation that computes everything once more takes what nobody wants, so nobody misses it."""
    for connections in 1, 64:
        pairs, note = measure(bench, f"shadow-{connections}", PLUGINS / "simple", simple_inputs(), connections, 0.5, 9)
        yield row(f"shadow-{connections}", f"`simple` with a shadow, {connections} connection{'s'[:connections > 1]}",
                  pairs, note, 1.15, 1.05)


def shadow_large(bench):
    inputs = [(name, "FP32", [LARGE], floats(LARGE)) for name in "AB"]
    pairs, note = measure(bench, "shadow-large", BENCH / "plugins/add_large.c", inputs, 1, 2, 7)
    yield row("shadow-large", "the same, 2 × 4 MB in, 4 MB out", pairs, note, 1.15, 1.05)


ROWS = {"shadow-1": shadow, "shadow-64": shadow, "shadow-large": shadow_large}
