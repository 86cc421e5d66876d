# SPDX-License-Identifier: MIT
"""kill -9 of this and that at random moments, while an author saves and clients call."""

import contextlib
import json
import os
import pathlib
import random
import signal
import sqlite3
import threading
import time

import pytest

from devserve import LONG, TREE, Client, constant, deployment, devserve, wait_until_gone, x

SAVES = 500 if LONG else 80
ROUNDS = 60 if LONG else 6
SEED = int(os.environ.get("T_SEED", 0)) or random.randrange(1, 1 << 30)
# Whom to kill next. Workers: those that serve, spares, those of trials, proofs and verdicts; the
# watcher seldom, for it waits longer before each restart.
TARGETS = ("devserve-worker",) * 5 + ("compiler", "devserve-worker", "devserve-debug", "devserve-worker", "compiler") \
    + ("devserve-worker",) * 5 + ("devserve-watch",)


def children_of(pid):
    """Direct children: (pid, what it is)."""
    text = ""
    with contextlib.suppress(OSError):  # it has ended, as a child may below
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    for child in text.split():
        with contextlib.suppress(OSError):
            name = os.path.basename(os.readlink(f"/proc/{child}/exe"))
            yield int(child), name if name.startswith("devserve") else "compiler"


class Killer(threading.Thread):
    """Kills one of the server's children every so often."""

    def __init__(self, server, seed):
        super().__init__(daemon=True)
        self.server, self.random = server, random.Random(seed)
        self.stopping, self.killed = threading.Event(), []
        self.start()

    def run(self):
        for target in self.targets():
            if self.stopping.wait(self.random.uniform(0.02, 0.3)):
                return
            self.kill_one(target)

    def targets(self):
        while True:
            yield from TARGETS

    def kill_one(self, target):
        """As soon as there is one, but what lives for a moment only needn't come."""
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline and not self.stopping.is_set():
            candidates = sorted(pid for pid, name in children_of(self.server.process.pid) if name == target)
            if candidates:
                with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                    os.kill(self.random.choice(candidates), signal.SIGKILL)
                    self.killed.append(target)
                return

    def stop(self):
        self.stopping.set()
        self.join()


class Clients:
    """`n` for each of `calls`; each calls `call(client)` until it is told to stop."""

    def __init__(self, server, n, *calls, over=()):
        self.stopping, self.mistakes, self.lock, self.count = threading.Event(), [], threading.Lock(), 0
        self.over = over  # exceptions that end it well
        self.threads = [threading.Thread(target=self._run, args=(server.new_client(), call), daemon=True)
                        for call in calls for _ in range(n)]
        for thread in self.threads:
            thread.start()

    def _run(self, client, call):
        while not self.stopping.is_set():
            try:
                call(client)
                self.count += 1
            except self.over:
                return
            except Exception as e:  # whatever it is, somebody has lost a request
                self.mistakes.append(repr(e))
                return

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def save(server, file, text):
    """Until it serves: a compiler that was killed is told as what it is, and the same text is built again."""
    while (done := server.save(file, text))["outcome"] != "swapped":
        assert "killed" in done["reason"], f"seed {SEED}: {done}"


def save_all(server, file, text_of):
    for i in range(1, SAVES + 1):
        save(server, file, text_of(i))


def each_save_ended_once(server):
    done = [e for e in server.seen("save.done") if e["outcome"] != "unchanged"]
    assert sorted(e["build"] for e in done) == sorted(e["build"] for e in server.seen("build.started"))


def history(root):
    """All of it, whole, as `devserve history` reads it."""
    with contextlib.closing(sqlite3.connect(root.path / ".devserve/history.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], f"seed {SEED}"
    said = devserve("history", "--json", "-n", "0", "--root", str(root.path))
    assert said.returncode == 0, f"seed {SEED}: {said.stderr}"
    return [json.loads(line) for line in said.stdout.splitlines()]


def numbers(entries, name):
    return {e["generation"] for e in entries if e["deployment"] == name and e["outcome"] == "swapped"}


def successor(i):
    """Other code each time, and always the same answer: proofs and verdicts have something to do."""
    return deployment(f"\tvolatile int k = {i};\n\t*y = x + 1 + k - {i};")


@pytest.mark.timeout(6000 if LONG else 400)
def test_no_request_fails_and_every_save_serves_whoever_is_killed(root, serve):
    root.write("one/one.c", constant(0))
    root.write("next/next.c", successor(0))
    root.write("next/deployment.yaml", "gate: replay\n")
    server = serve()
    seen = set()

    def call_one(client):
        answer = client.infer("one")
        seen.add((answer.generation, answer.value))

    def call_next(client):
        n = random.randrange(1 << 20)
        assert client.infer("next", x(n)).value == n + 1

    clients = Clients(server, 2, call_one, call_next)
    killer = Killer(server, SEED)
    token = server.run_json()["token"]
    for i in range(1, SAVES + 1):
        save(server, "one/one.c", constant(i))
        if i % 4 == 0:
            save(server, "next/next.c", successor(i))
        if i % 30 == 15:  # AddressSanitizer, and back
            Client(server.url, token).call("POST", "/-/asan?deployment=next")  # one kept open would be idle for too long
            server.wait("save.done", deployment="next", sanitized=True)
    killer.stop()
    clients.stop()
    assert clients.mistakes == [], f"seed {SEED}"
    values = {}
    for e in server.seen("save.done", deployment="one", outcome="swapped"):
        values[e["generation"]] = len(values)
    assert {(g, v) for g, v in seen if values[g] != v} == set(), f"seed {SEED}"
    each_save_ended_once(server)
    assert set(killer.killed) >= {"devserve-worker", "devserve-watch", "compiler"}, f"seed {SEED}: {killer.killed}"
    assert clients.count > SAVES, f"seed {SEED}"
    assert server.new_client().infer("one").value == SAVES
    assert server.stop() == 0
    for name in ("one", "next"):
        swapped = {e["generation"] for e in server.seen("save.done", deployment=name, outcome="swapped")}
        assert numbers(history(root), name) == swapped, f"seed {SEED}"


def delta(n):
    return {"inputs": [{"name": "DELTA", "datatype": "INT64", "shape": [1], "data": [n]}]}


needs_state = pytest.mark.skipif(not (TREE / "plugins/counter").exists(), reason="there is no plugin with state")


@needs_state
@pytest.mark.timeout(6000 if LONG else 400)
def test_no_count_that_a_client_was_told_is_lost_or_doubled_whoever_is_killed(root, serve):
    root.copy("counter")
    server = serve("--gate", "replay")
    source = root.read("counter/counter.c")
    told, failed = [], []

    def call(client):
        answer = client.infer("counter", delta(1))
        if answer.status == 200:
            told.append(answer.output("COUNT")[0])
        else:  # the call that a killed worker was running: it may have counted
            assert answer.status == 500 and "killed" in answer.json["error"], answer
            failed.append(answer)

    clients = Clients(server, 3, call)
    killer = Killer(server, SEED)
    save_all(server, "counter/counter.c", lambda i: f"{source}\nint save_{i};\n")
    killer.stop()
    clients.stop()
    assert clients.mistakes == [], f"seed {SEED}"
    count = server.new_client().infer("counter", delta(0)).output("COUNT")[0]
    assert len(set(told)) == len(told), f"seed {SEED}: a count was given twice"
    assert max(told) <= count and len(told) <= count <= len(told) + len(failed), f"seed {SEED}"
    assert len(failed) <= killer.killed.count("devserve-worker"), f"seed {SEED}"
    each_save_ended_once(server)
    assert "devserve-debug" in killer.killed, f"seed {SEED}"  # it looks at the state of each save


class Author(threading.Thread):
    """Saves one file after another until the server has gone; texts are made by a number that never comes twice."""

    def __init__(self, server, numbers_left, files):
        super().__init__(daemon=True)
        self.server, self.numbers_left, self.files = server, numbers_left, files
        self.start()

    def run(self):
        with contextlib.suppress(AssertionError):  # the server ended before its event came
            while not self.server.ended:
                for file, text_of in self.files.items():
                    self.server.save(file, text_of(next(self.numbers_left)))


@needs_state
@pytest.mark.timeout(6000 if LONG else 400)
def test_state_history_and_numbers_are_whole_when_the_server_was_killed(root, serve):
    root.copy("counter")
    root.write("one/one.c", constant(0))
    source = root.read("counter/counter.c")
    chance, left = random.Random(SEED), iter(range(1, 1 << 30))
    told, unknown, values, swapped = [], [], {}, {"one": set(), "counter": set()}

    def call_counter(client):
        unknown.append(client)  # whether it was counted, if no answer comes
        told.append(client.infer("counter", delta(1)).output("COUNT")[0])
        unknown.remove(client)

    def call_one(client):
        answer = client.infer("one")
        assert values.setdefault(answer.generation, answer.value) == answer.value, "a number was given twice"

    for _ in range(ROUNDS):
        server = serve()
        count = server.infer("counter", delta(0)).output("COUNT")[0]
        assert count >= max(told, default=0) and len(told) <= count <= len(told) + len(unknown), f"seed {SEED}"
        entries = history(root)
        for name, before in swapped.items():
            lost = before - numbers(entries, name)
            assert lost <= {max(before, default=0)}, f"seed {SEED}: {name} had {lost}"
        children = [pid for pid, _ in children_of(server.process.pid)]
        clients = Clients(server, 2, call_one, call_counter, over=(OSError, ConnectionError))
        author = Author(server, left, {"one/one.c": constant,
                                       "counter/counter.c": lambda i: f"{source}\nint save_{i};\n"})
        time.sleep(chance.uniform(0.1, 1.5))
        server.process.kill()
        server.process.wait()
        server.process.returncode = 0  # the fixture need not wonder
        clients.stop()
        author.join()
        assert clients.mistakes == [], f"seed {SEED}"
        for pid in children:
            wait_until_gone(pid)
        for name, numbers_of in swapped.items():
            numbers_of |= {e["generation"] for e in server.seen("save.done", deployment=name, outcome="swapped")}
    assert len(set(told)) == len(told), f"seed {SEED}: a count was given twice"
    assert len(values) > ROUNDS, f"seed {SEED}"


def test_a_number_that_was_told_is_not_given_again_however_soon_the_server_was_killed(root, serve):
    root.write("one.c", constant(0))
    told = []
    for value in range(1, 5):
        server = serve()
        told.append(server.infer("one").generation)
        mark = server.mark()
        root.rename_over("one.c", constant(value))
        told.append(server.wait("swap.done", mark)["generation"])
        server.process.kill()
        server.process.wait()
        server.process.returncode = 0
        again = serve()
        assert again.infer("one").generation == told[-1], "the same source has the same number"
        again.stop()
        root.write("one.c", constant(-value))  # what the next one finds was never served
    assert told == sorted(set(told)), told


def test_a_save_that_failed_takes_no_number_also_not_over_a_restart(root, serve):
    root.write("one.c", constant(0))
    server = serve()
    crashes = constant(1, "__attribute__((constructor)) static void crash(void) { *(volatile int *)8 = 1; }")
    assert server.save("one.c", crashes)["outcome"] == "trial-failed"
    server.stop()
    root.write("one.c", constant(2))
    assert serve().infer("one").generation == 2
