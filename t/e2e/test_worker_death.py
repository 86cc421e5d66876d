# SPDX-License-Identifier: MIT
"""A worker dies: its callers hear a sentence, the next ones an answer."""

import os
import signal

import pytest

from devserve import BUILD, constant, deployment, wait_until_gone, x
from hostile import Footprint, Wire, infer, turn, until

CRASH_ON_NEGATIVE = deployment("\tif (x < 0)\n\t\t*(volatile int *)0 = x;\n\t*y = x;")


def is_answer_or_sentence(answer):
    return answer.status == 200 or (answer.status >= 500 and len(answer.json["error"]) > 10)


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_worker_is_replaced(root, serve, sig):
    root.write("one/one.c", constant(10))
    server = serve()
    for _ in range(5):
        mark = server.mark()
        pid, = server.worker_pids("one")
        os.kill(pid, sig)
        assert is_answer_or_sentence(server.infer("one"))
        died = server.wait("worker.died", mark, deployment="one")
        assert died["pid"] == pid and died["reason"]
        replaced = server.wait("worker.replaced", mark, deployment="one")
        assert replaced["pid"] == server.worker_pids("one")[0] != pid
        answer = server.infer("one")
        assert (answer.value, answer.generation) == (10, 1)


def test_a_request_that_crashes_gets_a_sentence_and_hurts_nobody_else(root, serve):
    root.write("crash/crash.c", CRASH_ON_NEGATIVE)
    root.write("other/other.c", constant(1))
    server = serve()
    for _ in range(3):
        mark = server.mark()
        answer = server.infer("crash", x(-1))
        assert answer.status >= 500 and len(answer.json["error"]) > 10, answer
        assert server.infer("other").value == 1
        server.wait("worker.died", mark, deployment="crash")
        server.wait("worker.replaced", mark, deployment="crash")
        assert server.infer("crash", x(7)).value == 7


def test_a_save_mends_what_crashed(root, serve):
    root.write("crash/crash.c", CRASH_ON_NEGATIVE)
    server = serve()
    server.infer("crash", x(-1))
    done = server.save("crash/crash.c", CRASH_ON_NEGATIVE.replace("*(volatile int *)0 = x;", "x = -x;"))
    assert done["outcome"] == "swapped"
    answer = server.infer("crash", x(-1))
    assert (answer.value, answer.generation) == (1, 2)


def test_swaps_go_on_while_workers_die(root, serve):
    root.write("one/one.c", constant(0))
    server = serve()
    for i in range(1, 11):
        for pid in server.worker_pids("one"):
            os.kill(pid, signal.SIGKILL)
        done = server.save("one/one.c", constant(i))
        assert done["outcome"] == "swapped", done
        assert server.infer("one").value == i


@pytest.mark.skipif(bool(os.environ.get("DEVSERVE_SANITIZE")), reason="sanitizers want to be preloaded first")
def test_a_retry_that_nobody_waited_for_blames_no_generation(root, serve, tmp_path):
    """The generation before hasn't answered what crashed the current one: it never ran it."""
    hold = tmp_path / "hold"
    root.write("crash.c", constant(1))
    server = serve(env={"LD_PRELOAD": str(BUILD / "t/held_swap.so"), "DEVSERVE_HELD_SWAP": str(hold)})
    assert server.save("crash.c", CRASH_ON_NEGATIVE)["outcome"] == "swapped"
    hold.write_text("")
    with Wire(server.url) as beside:
        turn(beside)
        sockets = Footprint(server).sockets
        wire = Wire(server.url).send(infer(server.url, "crash", x(-1)))
        until(lambda: hold.read_text().count("\n") == 2, beside)  # who serves now, and who tries again
        pid, = set(map(int, hold.read_text().split())) - set(server.worker_pids("crash"))
        wire.reset()
        until(lambda: Footprint(server).sockets == sockets, beside)
    hold.unlink()
    wait_until_gone(pid)
    assert server.status()["deployments"][0]["generation"] == 2
    assert server.infer("crash", x(5)).generation == 2
