# SPDX-License-Identifier: MIT
"""State that the host keeps: through swaps, crashes, kills and restarts."""

import os
import signal

import pytest

from devserve import TREE

COUNTER = (TREE / "plugins/counter/counter.c").read_text()


def delta(n):
    return {"inputs": [{"name": "DELTA", "datatype": "INT64", "shape": [1], "data": [n]}]}


def count(server, n=1):
    return server.infer("counter", delta(n)).output("COUNT")[0]


@pytest.fixture
def counter(root, serve):
    root.write("counter/counter.c", COUNTER)
    return serve()


def test_a_count_goes_on_after_a_swap(counter):
    assert [count(counter) for _ in range(3)] == [1, 2, 3]
    for i in range(5):
        done = counter.save("counter/counter.c", COUNTER + f"\nint another{i};\n")
        assert done["outcome"] == "swapped", done
        assert count(counter) == 4 + i


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_count_goes_on_after_the_death_of_its_worker(counter, sig):
    for i in range(5):
        assert count(counter) == 2 * i + 1
        mark = counter.mark()
        os.kill(counter.worker_pids("counter")[0], sig)
        assert count(counter) == 2 * i + 2
        counter.wait("worker.replaced", mark, deployment="counter")


def test_a_call_that_crashes_leaves_the_last_whole_state(root, serve):
    root.write("counter/counter.c", COUNTER.replace(
        "counter->count = *count;", "counter->count = 77; if (*delta == 13) __builtin_trap(); counter->count = *count;"))
    server = serve()
    assert count(server) == 1
    answer = server.infer("counter", delta(13))
    assert answer.status == 500, answer  # not once more: it may have changed the state
    assert count(server) == 2


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_count_goes_on_after_a_restart_of_the_server(root, serve, how):
    root.write("counter/counter.c", COUNTER)
    first = serve()
    assert [count(first) for _ in range(3)] == [1, 2, 3]
    if how == signal.SIGTERM:
        first.stop()
    else:
        first.process.kill()
        first.process.wait()
        first.process.returncode = 0
    assert count(serve()) == 4


def test_another_version_is_refused_without_migrate_and_taken_with_it(counter):
    assert count(counter) == 1
    other = COUNTER.replace("int64_t count; /*", "int64_t other, count; /*").replace(".version = 1", ".version = 2")
    done = counter.save("counter/counter.c", other)
    assert done["outcome"] in ("refused", "trial-failed") and "migrate" in done["reason"], done
    assert count(counter) == 2

    migrate = """
static int migrate(const void *old, uint64_t size, uint32_t version, void *ret)
{
	if (version != 1 || size != sizeof(int64_t))
		return -22;
	((struct counter *)ret)->count = *(const int64_t *)old;
	return 0;
}

DEVSERVE_STATE("""
    done = counter.save("counter/counter.c", other.replace("DEVSERVE_STATE(", migrate, 1).replace(
        ".version = 2", ".version = 2, .migrate = migrate"))
    assert done["outcome"] == "swapped", done
    assert count(counter) == 3
    os.kill(counter.worker_pids("counter")[0], signal.SIGKILL)
    assert count(counter) == 4


def test_a_pointer_in_it_is_found_and_refused(counter):
    assert count(counter) == 1
    done = counter.save("counter/counter.c", COUNTER.replace("int64_t count; /*", "int64_t count; char *name; /*")
                        .replace(".version = 1", ".version = 2"))
    assert done["outcome"] == "trial-failed", done
    assert "pointer" in done["reason"] and "name" in done["reason"], done
    assert count(counter) == 2


def test_each_replica_has_a_state_of_its_own(root, serve):
    root.write("counter/counter.c", COUNTER)
    root.write("counter/deployment.yaml", "num_replicas: 2\n")
    server = serve()
    while len(server.worker_pids("counter")) < 2:
        pass
    counts = [count(server) for _ in range(10)]
    assert max(counts) <= 10 and sum(1 for c in counts if c == 1) <= 2, counts
