# SPDX-License-Identifier: MIT
"""More rows of the table: what a request's JSON costs."""

import array
import contextlib
import http.client
import json
import struct
import subprocess
import time

from harness import PATIENCE, Failure, Server, descendants, end, median, quartiles, start
from rows import PLUGINS, Row


def us(ns):
    return f"{ns / 1e3:.1f} µs" if ns < 1e6 else f"{ns / 1e6:.2f} ms"


def json_speed(bench):
    """bench/json.cc takes turns with simdjson by itself; a round is one run of it."""
    for name, n in ("json-1k", 1024), ("json-256k", 262144):
        ours, theirs = [], []
        for i in range(bench.rounds(9)):
            bench.say(f"{name}: round {i + 1}")
            process = start([bench.helper("json"), n, bench.seconds(1)], stdout=subprocess.PIPE)
            out = json.loads(process.communicate(timeout=PATIENCE)[0])
            end(process)
            ours.append(out["ours_ns"])
            theirs.append(out["simdjson_ns"])
        speeds = [b / a for a, b in zip(ours, theirs)]
        yield Row(name, f"JSON → tensor, {n:,} floats, speed", us(median(ours)), f"{us(median(theirs))} simdjson alone",
                  median(speeds), must=0.8, aim=0.9, higher=True, spread=quartiles(speeds),
                  samples={"measured": ours, "compared": theirs},
                  note=f"{out['bytes'] / median(ours) * 1e3:.0f} MB/s of text")


def kilobyte():
    values = array.array("i", range(100_000, 100_048)).tolist()
    return json.dumps({"id": "17", "inputs": [{"name": name, "datatype": "INT32", "shape": [3, 16], "data": values}
                                              for name in ("INPUT0", "INPUT1")]}).encode()


def allocations(bench):
    counts, body, n = bench.path("counts"), kilobyte(), 5000
    counts.mkdir()
    env = {"LD_PRELOAD": str(bench.build / "t/allocations.so"), "DEVSERVE_ALLOCATIONS": str(counts)}
    with Server(bench, PLUGINS / "simple", env=env) as server:
        pids = [server.process.pid, *(w["pid"] for w in server.status("simple")["workers"])]
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)

        def during(requests):
            before = [struct.unpack("Q", (counts / str(pid)).read_bytes())[0] for pid in pids]
            for _ in range(requests):
                connection.request("POST", "/v2/models/simple/infer", body)
                response = connection.getresponse()
                if not response.read() or response.status != 200:
                    raise Failure(f"{response.status}")
            after = [struct.unpack("Q", (counts / str(pid)).read_bytes())[0] for pid in pids]
            return [b - a for a, b in zip(before, after)]

        deadline = time.monotonic() + PATIENCE
        with contextlib.closing(connection):
            # Steady: buffers have found their size, the spare workers are there.
            while (any(during(500)) or len(descendants(pids[0])) < 5) and time.monotonic() < deadline:
                bench.say("allocations: until it is steady")
            rounds = []
            for i in range(bench.rounds(5)):
                bench.say(f"allocations: round {i + 1}")
                rounds.append(during(n))
    each = [sum(one) / n for one in rounds]
    of_server, of_worker = (median(one[k] / n for one in rounds) for k in (0, 1))
    yield Row("allocations", f"calls of malloc() an infer, {len(body)} bytes of JSON", f"{median(each):.4f}", "–",
              median(each), 0, 0, spread=quartiles(each), samples={"measured": each},
              note=f"server {of_server:.4f}, worker {of_worker:.4f}, of {n} requests a round")


ROWS = {"json-1k": json_speed, "json-256k": json_speed, "allocations": allocations}
