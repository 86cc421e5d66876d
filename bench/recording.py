# SPDX-License-Identifier: MIT
"""What it costs to keep the last requests: by itself, and the same server with and without --max-recordings."""

import json

from harness import OTHERS, Server, alternate, binary_request, first_line, median, quartiles
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


def beside(pairs, number, show):
    """Both sides of the pairs, for a note."""
    ours, theirs = (show(median(number(one) for one in side)) for side in zip(*pairs))
    return f"{ours}, without {theirs}"


def recorder(bench):
    """What it takes of a call by itself: the difference of two servers is less than they vary."""
    pairs, n = measure(bench, "recorder", PLUGINS / "simple", simple_inputs(), 64, 0.5, 15)
    wholes = [1e9 / without["per_second"] for _, without in pairs]
    alone = [json.loads(first_line([bench.helper("recorder"), str(round(whole))]))["median_ns"] for whole in wholes]
    percents = [100 * a / b for a, b in zip(alone, wholes)]
    yield Row("recorder", "keeping requests, of a whole small request", f"{median(alone):.0f} ns",
              f"{median(wholes):.0f} ns at 64 connections", median(percents), 2, 1, "%", spread=quartiles(percents),
              samples={"measured": alone, "compared": wholes},
              note=f"{beside(pairs, lambda one: one['per_second'], rate)}; {n} recordings")


def recorder_large(bench):
    inputs = [(name, "FP32", [LARGE], floats(LARGE)) for name in "AB"]
    pairs, n = measure(bench, "recorder-large", BENCH / "plugins/add_large.c", inputs, 1, 0.5, 60)
    ours, theirs = ([one["server_us"] for one in side] for side in zip(*pairs))
    lost = [100 * (a / b - 1) for a, b in zip(ours, theirs)]
    yield Row("recorder-large", "the same, 2 × 4 MB in, 4 MB out", f"{median(ours):.0f} µs",
              f"{median(theirs):.0f} µs without", median(lost), 1, 0.5, "%", spread=quartiles(lost),
              samples={"measured": ours, "compared": theirs},
              note=f"processor time a request; {beside(pairs, gb, lambda x: f'{x:.2f} GB/s')}; {n} recordings")


ROWS = {"recorder": recorder, "recorder-large": recorder_large}
