# SPDX-License-Identifier: MIT
"""More rows of the table: workers that die, state, replicas, a server that has nothing to do."""

import array
import contextlib
import http.client
import json
import os
import pathlib
import signal
import time

from harness import (BENCH, PATIENCE, TREE, Failure, Server, Skipped, alternate, binary_request,
                     descendants, load, median, memory_kb, processor_times, quartiles)
from rows import MS, Row, ms2, rate

PLUGINS = BENCH / "plugins"


def x(value, datatype="INT32"):
    return json.dumps({"inputs": [{"name": "X", "datatype": datatype, "shape": [1], "data": [value]}]}).encode()


class Caller:
    """One kept connection: status and ns of the last byte of each answer."""

    def __init__(self, server, name):
        self.path = f"/v2/models/{name}/infer"
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)

    def __call__(self, value):
        self.connection.request("POST", self.path, x(value), {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        response.read()
        return response.status, time.monotonic_ns()


# Deaths

def wait_for_spare(server, name, unlike):
    """Until another spare is there, and a moment for it to load."""
    deadline = time.monotonic() + PATIENCE
    while (pid := server.status(name).get("spare_pid")) in (None, unlike):
        if time.monotonic() > deadline:
            raise Failure("no spare worker comes")
        time.sleep(0.02)
    time.sleep(0.3)
    return pid


def takeover(bench):
    killed, crashed, told, explained = [], [], [], []
    with Server(bench, PLUGINS / "crash.c") as server:
        call = Caller(server, "crash")
        spare = None

        def ready():
            nonlocal spare
            call(1)
            spare = wait_for_spare(server, "crash", spare)
            call(1)

        for i in range(bench.rounds(30)):
            bench.say(f"takeover: death {i + 1}")
            ready()
            pid = server.status("crash")["workers"][0]["pid"]
            began = time.monotonic_ns()
            os.kill(pid, signal.SIGKILL)
            status, at = call(2)
            if status != 200:
                raise Failure(f"a call after kill -9 got {status}")
            killed.append(at - began)

            ready()
            mark, sent = server.mark(), time.monotonic_ns()
            status, began = call(-1)
            if status != 500:
                raise Failure(f"the call that crashes got {status}")
            status, at = call(3)
            if status != 200:
                raise Failure(f"a call after a crash got {status}")
            crashed.append(at - began)
            told.append(server.wait("worker.died", mark)["at_ns"] - sent)
            report = server.wait("crash.report", mark)
            if not any(frame.get("line") for frame in report["frames"]):
                raise Failure(f"the report names no line: {report}")
            explained.append(report["at_ns"] - sent)
    yield Row("takeover-kill", "kill -9 → next call answered", ms2(median(killed)), "–", median(killed) / MS,
              5, 1, "ms", spread=tuple(q / MS for q in quartiles(killed)), samples={"measured": killed})
    yield Row("takeover-crash", "answer of a call that crashed → next call answered", ms2(median(crashed)), "–",
              median(crashed) / MS, 5, 1, "ms", spread=tuple(q / MS for q in quartiles(crashed)),
              samples={"measured": crashed})
    yield Row("notice", "call that crashes sent → crash.report, with source lines", ms2(median(explained)), "–",
              median(explained) / MS, 100, 50, "ms", spread=tuple(q / MS for q in quartiles(explained)),
              samples={"died": told, "report": explained}, note=f"worker.died after {ms2(median(told))}")


def crashes(bench):
    """So many in a row: what grew."""
    last = 200 if bench.quick else 1000
    sizes = {}
    with Server(bench, PLUGINS / "crash.c") as server:
        call, pid = Caller(server, "crash"), server.process.pid
        for i in range(1, last + 1):
            if i % 10 == 0:
                bench.say(f"crashes: {i}")
            status, _ = call(-1)
            if status != 500 or call(1)[0] != 200:
                raise Failure(f"crash {i} was answered with {status}")
            if i in (50, last):
                time.sleep(2)
                sizes[i] = {"KB": sum(memory_kb(pid, server.root).values()),
                            "KB of the server": rss_kb(pid),
                            "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
                            "processes": len(descendants(pid))}
    grown = {what: sizes[last][what] - sizes[50][what] for what in sizes[50]}
    yield Row("crash-memory", f"memory a crash, {last} crashes", f"{sizes[last]['KB'] / 1024:.1f} MB",
              f"{sizes[50]['KB'] / 1024:.1f} MB after 50", grown["KB"] / (last - 50), 1, 0.1, "KB",
              samples=sizes, note=", ".join(f"{what} {n:+}" for what, n in grown.items()))
    yield Row("crash-things", f"descriptors and processes more after {last} crashes",
              f"{sizes[last]['descriptors']}, {sizes[last]['processes']}",
              f"{sizes[50]['descriptors']}, {sizes[50]['processes']} after 50",
              grown["descriptors"] + grown["processes"], 4, 0, "more")


def rss_kb(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


# State

def state_plugins(bench, *sizes):
    """Copies of plugins/state.c, one of each size: state_SIZE."""
    text = (PLUGINS / "state.c").read_text()
    for size in sizes:
        target = bench.scratch / f"state_{size}.c"
        target.write_text(text.replace("#define STATE 0", f"#define STATE {size}"))
        yield target


def state_request(bench, port, size):
    return bench.file("state.http", binary_request(port, f"state_{size}", [("X", "INT32", [1], array.array("i", [0]))]))


def checkpoint(bench):
    """What keeping 64 KB after every call costs the call."""
    size, rounds = 64 * 1024, bench.rounds(15)
    ours, theirs = [], []
    with Server(bench, *state_plugins(bench, 0, size)) as server:
        requests = [state_request(bench, server.port, n) for n in (size, 0)]
        for i in range(rounds):
            bench.say(f"checkpoint: round {i + 1}")
            a, b = alternate(i, *(lambda r=r: load(bench, server.port, r, 1, bench.seconds(0.5), "-w", 0.1)["p50_us"]
                                  for r in requests))
            ours.append(a)
            theirs.append(b)
    beyond = [a - b for a, b in zip(ours, theirs)]
    yield Row("checkpoint", "a call with 64 KB of state, beyond one without, p50", f"{median(ours):.1f} µs",
              f"{median(theirs):.1f} µs without", median(beyond), 10, 5, "µs", spread=quartiles(beyond),
              samples={"measured": ours, "compared": theirs})


def large_state(bench):
    """p99 of calls at 200/s while 64 MB are kept ten times a second."""
    size, rounds = 64 * 1024 * 1024, bench.rounds(9)
    ours, theirs, most = [], [], []
    with Server(bench, *state_plugins(bench, 0, size)) as server:
        requests = [state_request(bench, server.port, n) for n in (size, 0)]

        def measure(request):
            return load(bench, server.port, request, 1, bench.seconds(2), "-r", 200, "-w", 0.2)

        for i in range(rounds):
            bench.say(f"large state: round {i + 1}")
            a, b = alternate(i, lambda: measure(requests[0]), lambda: measure(requests[1]))
            ours.append(a["p99_us"] / 1000)
            theirs.append(b["p99_us"] / 1000)
            most.append(a["max_us"] / 1000)
    beyond = [a - b for a, b in zip(ours, theirs)]
    yield Row("state-64mb", "a call with 64 MB of state, beyond one without, p99", f"{median(ours):.2f} ms",
              f"{median(theirs):.2f} ms without", median(beyond), 1, 0.2, "ms", spread=quartiles(beyond),
              samples={"measured": ours, "compared": theirs}, note=f"at most {max(most):.1f} ms in any round")


# Replicas

def free_processors():
    """Of the machine, over a second: what nobody used."""
    before, began = processor_times()[0], idle_s()
    time.sleep(1)
    total = processor_times()[0] - before
    return os.cpu_count() * (idle_s() - began) / total if total else 0


def idle_s():
    fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def replicas(bench):
    """A call of some milliseconds, 4 connections: calls a second of two replicas and of one."""
    free = free_processors()
    if free < 1.8:
        raise Skipped(f"needs 2 free processors, and {free:.1f} are")
    two, one = [], []
    roots = {}
    for n in (1, 2):
        root = bench.path("plugins")
        (root / "spin").mkdir(parents=True)
        (root / "spin/spin.c").write_text((PLUGINS / "spin.c").read_text())
        (root / "spin/deployment.yaml").write_text(f"num_replicas: {n}\n")
        roots[n] = root
    with contextlib.ExitStack() as stack:
        servers = {n: stack.enter_context(Server(bench, root=root)) for n, root in roots.items()}
        time.sleep(1)
        if len(servers[2].status("spin")["workers"]) != 2:
            raise Failure("two replicas were asked for and are not there")
        files = {n: bench.file("spin.http", binary_request(server.port, "spin", [
            ("X", "UINT32", [1], array.array("I", [5_000_000]))])) for n, server in servers.items()}

        def measure(n):
            return load(bench, servers[n].port, files[n], 4, bench.seconds(2), "-w", 0.3)["per_second"]

        for i in range(bench.rounds(9)):
            bench.say(f"replicas: round {i + 1}")
            a, b = alternate(i, lambda: measure(2), lambda: measure(1))
            two.append(a)
            one.append(b)
    ratios = [a / b for a, b in zip(two, one)]
    yield Row("replicas", "a call that computes, two replicas against one", rate(median(two)),
              f"{rate(median(one))} one", median(ratios), 1.8, 1.95, higher=True, spread=quartiles(ratios),
              samples={"measured": two, "compared": one})


# Idle

def wake_ups(pid):
    """Of every thread so far: times it went to sleep."""
    total = 0
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        with contextlib.suppress(OSError):
            total += int(status.read_text().partition("\nvoluntary_ctxt_switches:")[2].split()[0])
    return total


def idle(bench):
    plugins = [TREE / "plugins" / name for name in ("matmul", "simple", "softmax", "tokenize", "counter")]
    seconds, all_of, own = bench.seconds(5), [], []
    with Server(bench, *plugins) as server:
        pid = server.process.pid
        time.sleep(3)
        for i in range(bench.rounds(5)):
            bench.say(f"idle: round {i + 1}")
            tree = descendants(pid)
            before = {one: wake_ups(one) for one in tree}
            time.sleep(seconds)
            after = {one: wake_ups(one) for one in tree}
            all_of.append(sum(after[one] - before[one] for one in tree) / seconds)
            own.append((after[pid] - before[pid]) / seconds)
        size = rss_kb(pid) / 1024
    yield Row("idle-wakes", "wake-ups a second, idle, five plugins, all processes", f"{median(all_of):.1f}/s", "–",
              median(all_of), 2, 0.5, "/s", spread=quartiles(all_of), samples={"all": all_of, "server": own},
              note=f"{len(tree)} processes; the server's own {median(own):.1f}/s")
    yield Row("idle-rss", "resident memory of the server, five plugins", f"{size:.1f} MB", "–", size, 15, 10, "MB")


ROWS = {
    "takeover-kill": takeover, "takeover-crash": takeover, "notice": takeover, "crash-memory": crashes,
    "crash-things": crashes, "checkpoint": checkpoint, "state-64mb": large_state, "replicas": replicas,
    "idle-wakes": idle, "idle-rss": idle,
}
