# SPDX-License-Identifier: MIT
"""kill -9 of this and that at random moments, while an author saves and clients call."""

import contextlib
import os
import pathlib
import random
import signal
import threading

import pytest

from devserve import LONG, TREE, constant

SAVES = 500 if LONG else 100
PROGRAMS = ("devserve-worker", "devserve-watch")  # serving, spare, in a trial: any of them
SEED = int(os.environ.get("T_SEED", 0)) or random.randrange(1, 1 << 30)


def children_of(pid):
    """Direct children: (pid, program)."""
    text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    for child in text.split():
        try:
            yield int(child), os.path.basename(os.readlink(f"/proc/{child}/exe"))
        except OSError:
            pass  # it has ended meanwhile


class Killer(threading.Thread):
    """Kills one of the server's children every so often."""

    def __init__(self, server, seed):
        super().__init__(daemon=True)
        self.server, self.random = server, random.Random(seed)
        self.stopping, self.killed = threading.Event(), []
        self.start()

    def run(self):
        while not self.stopping.wait(self.random.uniform(0.02, 0.3)):
            program = PROGRAMS[len(self.killed) % 24 == 11]  # the watcher: it waits longer before each restart
            candidates = sorted(pid for pid, name in children_of(self.server.process.pid) if name == program)
            if candidates:
                with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                    os.kill(self.random.choice(candidates), signal.SIGKILL)
                    self.killed.append(program)

    def stop(self):
        self.stopping.set()
        self.join()


class Clients:
    """`n` of them; each calls `call(client, self)` until it is told to stop."""

    def __init__(self, server, n, call):
        self.stopping, self.mistakes, self.lock, self.count = threading.Event(), [], threading.Lock(), 0
        self.threads = [threading.Thread(target=self._run, args=(server.new_client(), call), daemon=True)
                        for _ in range(n)]
        for thread in self.threads:
            thread.start()

    def _run(self, client, call):
        while not self.stopping.is_set():
            try:
                call(client)
                self.count += 1
            except Exception as e:  # whatever it is, somebody has lost a request
                self.mistakes.append(repr(e))
                return

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def save_all(server, file, text_of):
    """SAVES saves, each of which must serve in the end."""
    for i in range(1, SAVES + 1):
        done = server.save(file, text_of(i))
        assert done["outcome"] == "swapped", f"seed {SEED}, save {i}: {done}"


def each_save_ended_once(server):
    done = [e for e in server.seen("save.done") if e["outcome"] != "unchanged"]
    assert sorted(e["build"] for e in done) == sorted(e["build"] for e in server.seen("build.started"))


@pytest.mark.timeout(3000 if LONG else 300)
def test_no_request_fails_and_every_save_serves_whoever_is_killed(root, serve):
    root.write("one/one.c", constant(0))
    server = serve()
    seen = set()

    def call(client):
        answer = client.infer("one")
        seen.add((answer.generation, answer.value))

    clients = Clients(server, 3, call)
    killer = Killer(server, SEED)
    save_all(server, "one/one.c", constant)
    killer.stop()
    clients.stop()
    assert clients.mistakes == [], f"seed {SEED}"
    compiled = {e["generation"]: e["build"] - 1 for e in server.seen("save.done", outcome="swapped")}
    assert {(g, v) for g, v in seen if compiled[g] != v} == set(), f"seed {SEED}"
    each_save_ended_once(server)
    assert set(killer.killed) == set(PROGRAMS) and clients.count > SAVES, f"seed {SEED}"
    assert server.new_client().infer("one").value == SAVES


def delta(n):
    return {"inputs": [{"name": "DELTA", "datatype": "INT64", "shape": [1], "data": [n]}]}


@pytest.mark.skipif(not (TREE / "plugins/counter").exists(), reason="there is no plugin with state")
@pytest.mark.timeout(3000 if LONG else 300)
def test_no_count_that_a_client_was_told_is_lost_or_doubled_whoever_is_killed(root, serve):
    root.copy("counter")
    server = serve()
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
