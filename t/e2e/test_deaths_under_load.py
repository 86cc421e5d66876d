# SPDX-License-Identifier: MIT
"""Workers die while clients call: who can be answered is, and nobody hears a wrong answer."""

import os
import signal
import threading

import pytest

from devserve import constant

CONNECTIONS = 3

# How a call may end its process.
DEATHS = {
    "a-null-pointer": "*(volatile int *)0 = 1;",
    "abort": "abort();",
    "a-division-by-zero": "{ volatile int zero = 0; zero = 7 / zero; }",
    "an-illegal-instruction": "__builtin_trap();",
    "exit": "exit(3);",
    "a-stack-overflow": "overflow(1);",
}


def adding(offset, poison="", before=""):
    """A deployment that answers x + offset; a negative x makes it run `poison`."""
    return f"""\
#include <devserve/deployment.h>
#include <stdlib.h>
#include <unistd.h>

static int infer(const struct devserve_call *call)
{{
	const int32_t *x = call->in[0].data;
	int32_t *y = call->out[0].data;

	{before}
	for (uint32_t i = 0; i < call->batch; i++) {{
		if (x[i] < 0) {{
			{poison}
		}}
		y[i] = x[i] + {offset};
	}}
	return 0;
}}

DEVSERVE_DEPLOYMENT(
	.max_batch_size = 8,
	.inputs = DEVSERVE_TENSORS({{ "X", DEVSERVE_INT32, {{ 1 }} }}),
	.outputs = DEVSERVE_TENSORS({{ "Y", DEVSERVE_INT32, {{ 1 }} }}),
	.infer = infer,
)
"""


def crashing(offset, death="a-null-pointer"):
    text = adding(offset, DEATHS[death])
    if death == "a-stack-overflow":
        text = text.replace("static int infer", "__attribute__((noinline)) static int overflow(int n)\n{\n"
                            "\tvolatile char room[65536];\n\n\troom[0] = (char)n;\n"
                            "\treturn n ? overflow(n + 1) + room[0] : 0;\n}\n\nstatic int infer", 1)
    return text


def x(value):
    return {"inputs": [{"name": "X", "datatype": "INT32", "shape": [1, 1], "data": [value]}]}


class Traffic:
    """Clients that call as fast as they can, each with numbers of its own."""

    def __init__(self, server, name="one", refused=frozenset()):
        self.server, self.name, self.refused = server, name, refused  # statuses that are no mistake
        self.stopping = threading.Event()
        self.offsets, self.wrong, self.count = set(), [], 0  # (generation, what it added)
        self.threads = [threading.Thread(target=self._run, args=(i * 1000000,), daemon=True)
                        for i in range(CONNECTIONS)]
        for thread in self.threads:
            thread.start()

    def _run(self, value):
        client = self.server.new_client()
        while not self.stopping.is_set():
            value += 1
            try:
                answer = client.infer(self.name, x(value))
                if answer.status in self.refused:
                    continue
                self.offsets.add((answer.generation, answer.value - value))
            except Exception as e:  # a lost connection is a lost request
                self.wrong.append(repr(e))
                return
            self.count += 1

    def stop(self, offsets):
        """Nobody was refused, and whoever was answered was by one of `offsets`: generation, offset."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        assert self.wrong == []
        assert self.offsets <= set(offsets.items())
        assert self.count > 0


def facts(server, name="one"):
    return next(d for d in server.status()["deployments"] if d["name"] == name)


def until(look, unlike=None):
    """What `look` finds, as soon as it is something, and something else."""
    for _ in range(100000):
        found = look()
        if found and found != unlike:
            return found
    raise AssertionError(f"it stays {found}")


@pytest.fixture
def one(root, serve):
    """A server whose deployment adds 1."""
    root.write("one/one.c", adding(1))
    return serve()


@pytest.mark.parametrize("death", DEATHS)
def test_the_generation_before_answers_what_crashed(one, death):
    traffic = Traffic(one)
    assert one.save("one/one.c", crashing(2, death))["outcome"] == "swapped"
    mark = one.mark()
    answer = one.infer("one", x(-5))
    assert (answer.value, answer.generation) == (-4, 1), answer
    fell = one.wait("deployment.fell-back", mark, deployment="one")
    assert (fell["from"], fell["generation"]) == (2, 1) and fell["reason"]
    assert one.seen("worker.died", mark, deployment="one")
    answer = one.infer("one", x(-5))
    assert (answer.value, answer.generation, answer.stale) == (-4, 1, "crashed")
    traffic.stop({1: 1, 2: 2})


def test_what_crashed_is_not_loaded_again_until_it_changes(root, serve, one):
    one.save("one/one.c", crashing(2))
    one.infer("one", x(-5))
    one.wait("deployment.fell-back", deployment="one")
    assert one.save("one/one.c", adding("1 +"))["outcome"] == "build-failed"
    done = one.save("one/one.c", crashing(2))
    assert done["outcome"] == "refused" and "crashed" in done["reason"]
    answer = one.infer("one", x(1))
    assert (answer.value, answer.generation, answer.stale) == (2, 1, "crashed")
    one.stop()

    again = serve(ready=False)
    done = again.wait("save.done", deployment="one")
    assert done["outcome"] == "refused" and "crashed" in done["reason"]
    answer = again.infer("one", x(1))
    assert (answer.value, answer.generation, answer.stale) == (2, 1, "crashed")
    done = again.save("one/one.c", adding(3))
    assert (done["outcome"], done["generation"]) == ("swapped", 3)  # 2 has been given
    assert again.infer("one", x(1)).value == 4
    assert again.save("one/one.c", crashing(2))["outcome"] == "swapped"


def test_a_request_that_every_generation_dies_of_is_at_fault_itself(root, serve):
    root.write("one/one.c", crashing(1))
    server = serve()
    traffic = Traffic(server)
    server.save("one/one.c", crashing(2))
    for _ in range(2):
        mark = server.mark()
        answer = server.infer("one", x(-1))
        assert answer.status == 500 and "it is this request" in answer.json["error"], answer
        server.wait("worker.replaced", mark, deployment="one")
    answer = server.infer("one", x(1))
    assert (answer.value, answer.generation, answer.stale) == (3, 2, None)
    assert server.seen("deployment.fell-back") == []
    traffic.stop({1: 1, 2: 2})


@pytest.mark.parametrize("before", [False, True], ids=["without", "with"])
def test_the_others_in_the_batch_of_what_crashes_are_answered(root, serve, gate, before):
    root.write("one/one.c", gate.source + adding(1, DEATHS["abort"], "pass_gate();"))
    server = serve()
    if before:
        server.save("one/one.c", gate.source + adding(2, DEATHS["abort"], "pass_gate();"))
    gate.shut()
    answers = {}

    def call(value):
        answers[value] = server.new_client().infer("one", x(value))

    def start(*values):
        threads = [threading.Thread(target=call, args=(value,)) for value in values]
        for thread in threads:
            thread.start()
        return threads

    first = start(1, 2)  # the worker has these; what comes now waits, and is joined
    until(lambda: facts(server)["in_flight"] >= 1 and facts(server)["requests"] >= 2)
    others = start(3, 4, -1, 5, 6)
    until(lambda: facts(server)["requests"] >= 7)
    gate.open()
    for thread in first + others:
        thread.join()
    assert answers.pop(-1).status == 500
    assert {v: a.value - v for v, a in answers.items()} == {v: answers[v].generation for v in range(1, 7)}
    assert server.infer("one", x(1)).generation == 1 + before
    assert server.seen("deployment.fell-back") == []


def test_nobody_notices_that_serving_workers_are_killed(one):
    traffic = Traffic(one)
    for _ in range(20):
        mark = one.mark()
        pid, = one.worker_pids("one")
        os.kill(pid, signal.SIGKILL)
        replaced = one.wait("worker.replaced", mark, deployment="one")
        assert replaced["pid"] != pid
    traffic.stop({1: 1})


def test_nobody_notices_that_spare_workers_are_killed(one):
    traffic = Traffic(one)
    for _ in range(5):
        spare = until(lambda: facts(one).get("spare_pid"))
        os.kill(spare, signal.SIGKILL)
        other = until(lambda: facts(one).get("spare_pid"), spare)
        assert other != spare
    pid, = one.worker_pids("one")
    mark = one.mark()
    os.kill(pid, signal.SIGKILL)
    one.wait("worker.replaced", mark)
    traffic.stop({1: 1})


def test_the_first_generation_that_crashes_at_every_call_is_tried_again(root, serve):
    root.write("one/one.c", crashing(1))
    root.write("two/two.c", constant(7))
    server = serve()
    traffic = Traffic(server)
    for _ in range(5):
        mark = server.mark()
        assert server.infer("one", x(-1)).status == 500
        server.wait("worker.replaced", mark, deployment="one")
        assert server.infer("two").value == 7
    traffic.stop({1: 1})


def test_a_stopped_worker_costs_only_those_whose_time_it_takes(root, one):
    assert one.save("one/deployment.yaml", "request_timeout_s: 0.5\n", "one")["outcome"] == "swapped"
    mark = one.mark()
    traffic = Traffic(one, refused={504})
    pid, = one.worker_pids("one")
    os.kill(pid, signal.SIGSTOP)
    one.wait("worker.replaced", mark, deployment="one")
    assert one.infer("one", x(1)).value == 2
    traffic.stop({1: 1, 2: 1})
