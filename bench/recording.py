# SPDX-License-Identifier: MIT
"""What it costs to keep the last requests: the same server with and without --max-recordings."""

import json

from harness import OTHERS, Server, alternate, binary_request, median, quartiles
from rows import BENCH, PLUGINS, Row, costed, floats, rate, simple_inputs

LARGE = 1024 * 1024  # elements: 4 MB


def gb(result):
    return result["per_second"] * (result["request_bytes"] + result["body_bytes"]) / 1e9


def measure(bench, name, plugin, inputs, connections, seconds, rounds):
    """Pairs of results, with recorder and without."""
    pairs = []
    with Server(bench, plugin, cpus=OTHERS) as one, \
            Server(bench, plugin, cpus=OTHERS, env={"DEVSERVE_MAX_RECORDINGS": "0"}) as other:
        files = {s: bench.file(f"{name}{s.port}.http", binary_request(s.port, plugin.name.partition(".")[0], inputs))
                 for s in (one, other)}

        def run(server):
            return costed(bench, server.process.pid, server.port, files[server], connections, seconds)

        run(one), run(other)  # what is saved up at the start is spent
        for i in range(bench.rounds(rounds)):
            bench.say(f"{name}: round {i + 1}")
            pairs.append(alternate(i, lambda: run(one), lambda: run(other)))
        token = json.loads((one.root / ".devserve/run.json").read_text())["token"]
        listed = json.loads(one.get(f"/-/recordings?deployment={plugin.name.partition('.')[0]}", token)[1])
    return pairs, len(listed["recordings"])


def row(name, what, pairs, n, show, must, aim):
    ours, theirs = ([one["server_us"] for one in side] for side in zip(*pairs))
    lost = [100 * (a / b - 1) for a, b in zip(ours, theirs)]
    speeds = [show(median(number(one) for one in side)) for side, number in zip(zip(*pairs), [speed(show)] * 2)]
    return Row(name, what, f"{median(ours):.2f} µs", f"{median(theirs):.2f} µs without", median(lost), must, aim, "%",
               spread=quartiles(lost), samples={"measured": ours, "compared": theirs},
               note=f"processor time a request; {speeds[0]}, without {speeds[1]}; {n} recordings")


def speed(show):
    return (lambda one: one["per_second"]) if show is rate else gb


def recorder(bench):
    pairs, n = measure(bench, "recorder", PLUGINS / "simple", simple_inputs(), 64, 0.5, 15)
    yield row("recorder", "keeping requests, of `simple` at 64 connections", pairs, n, rate, 2, 1)


def recorder_large(bench):
    inputs = [(name, "FP32", [LARGE], floats(LARGE)) for name in "AB"]
    pairs, n = measure(bench, "recorder-large", BENCH / "plugins/add_large.c", inputs, 1, 1.5, 9)
    yield row("recorder-large", "the same, 2 × 4 MB in, 4 MB out", pairs, n, lambda x: f"{x:.2f} GB/s", 1, 0.5)


ROWS = {"recorder": recorder, "recorder-large": recorder_large}
