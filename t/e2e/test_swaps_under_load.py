# SPDX-License-Identifier: MIT
"""The promise that the tool is named for: no request is lost while code is swapped."""

import pathlib
import threading

import pytest

from devserve import LONG, constant

SWAPS = 2000 if LONG else 200
CONNECTIONS = 4


def images_mapped(pid):
    """The shared objects of plugins that a worker holds."""
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
    return {line.split()[5] for line in maps.splitlines() if "/generations/" in line}


class Load(threading.Thread):
    """Calls as fast as it can on one connection; keeps what it got."""

    def __init__(self, server, name):
        super().__init__(daemon=True)
        self.client, self.name = server.new_client(), name
        self.stopping = threading.Event()
        self.pairs, self.count = {}, 0  # (generation, value) -> how often
        self.wrong = []
        self.start()

    def run(self):
        last = 0
        while not self.stopping.is_set():
            try:
                answer = self.client.infer(self.name)
                pair = (answer.generation, answer.value)
            except Exception as e:  # a lost connection is a lost request
                self.wrong.append(repr(e))
                return
            if answer.generation < last:
                self.wrong.append(f"generation {answer.generation} after {last}")
            last = answer.generation
            self.pairs[pair] = self.pairs.get(pair, 0) + 1
            self.count += 1

    def stop(self):
        self.stopping.set()
        self.join()


@pytest.mark.timeout(3000 if LONG else 400)
def test_no_request_is_lost_and_none_is_answered_by_the_wrong_code(root, serve):
    root.write("one/one.c", constant(1000))
    server = serve()
    pid, = server.worker_pids("one")
    compiled = {1: 1000}  # generation -> the value that was compiled into it
    loads = [Load(server, "one") for _ in range(CONNECTIONS)]
    for i in range(1, SWAPS + 1):
        done = server.save("one/one.c", constant(1000 + i))
        assert done["outcome"] == "swapped", done
        compiled[done["generation"]] = 1000 + i
        answer = server.infer("one")  # from swap.done on there is no old answer
        assert (answer.generation, answer.value, answer.stale) == (done["generation"], 1000 + i, None)
    for load in loads:
        load.stop()

    assert [load.wrong for load in loads] == [[]] * CONNECTIONS
    pairs = set().union(*(load.pairs for load in loads))
    assert {(g, v) for g, v in pairs if compiled[g] != v} == set()
    assert sorted(compiled) == list(range(1, SWAPS + 2))
    assert sum(load.count for load in loads) > 10 * SWAPS
    assert len({g for g, _ in pairs}) > SWAPS / 2  # the load did see most of them
    # The loop that was running all the time; after 1,000 generations a fresh one.
    replaced = server.seen("worker.replaced")
    assert len(replaced) == SWAPS // 1000 == len([n for n in server.seen("notice") if "1,000 gen" in n["reason"]])
    pid = replaced[-1]["pid"] if replaced else pid
    assert server.worker_pids("one") == [pid] and not server.seen("worker.died")
    assert len(images_mapped(pid)) <= (2 if replaced else 1)  # the one before may just be going


@pytest.mark.timeout(300)
def test_a_save_that_fails_under_load_is_not_noticed(root, serve):
    root.write("one/one.c", constant(1))
    server = serve()
    loads = [Load(server, "one") for _ in range(CONNECTIONS)]
    for _ in range(5):
        assert server.save("one/one.c", constant("1 +"))["outcome"] == "build-failed"
        assert server.save("one/one.c", constant("undefined()", "int undefined(void);"))["outcome"] in (
            "build-failed", "trial-failed")
    for load in loads:
        load.stop()
    assert [load.wrong for load in loads] == [[]] * CONNECTIONS
    assert set().union(*(load.pairs for load in loads)) == {(1, 1)}
