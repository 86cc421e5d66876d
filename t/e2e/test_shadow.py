# SPDX-License-Identifier: MIT
"""A second generation that gets copies of the requests, and answers nobody."""

import os
import pathlib
import signal
import struct
import threading
import time

import pytest

from devserve import PATIENCE, Gate, constant, deployment, devserve, wait_until_gone, x
from test_canary import ask, companion, two  # noqa: F401 (a fixture)
from test_verdict import kernel


def compared(server, n, name="one"):
    """Its facts once it has compared that many calls; each look is an answer, no time is waited for."""
    for _ in range(20000):
        facts = companion(server, name)
        assert facts, server.seen("shadow.ended")
        if facts["compared"] + facts["dropped"] >= n:
            return facts
    raise AssertionError(facts)


def test_nothing_of_it_reaches_a_client_and_differences_are_told(two):
    said = ask(two, "shadow", "one", "1")
    assert "shadow" in said, said
    assert two.wait("shadow.started")["generation"] == 1
    for i in range(1, 11):
        answer = two.infer("one", x(i))
        assert (answer.value, answer.generation) == (2, 2), answer
        compared(two, i)
    facts = companion(two)
    assert (facts["compared"], facts["differing"], facts["dropped"]) == (10, 10, 0), facts
    assert facts["beside"]["requests"] == facts["serving"]["requests"] == 10, facts
    two.wait("shadow.differs", differing=10)
    told = two.seen("shadow.differs")
    assert [t["differing"] for t in told] == [1, 10], told
    assert "for X INT32[1]: Y[0] is 1 where generation 2 answered 2" in told[0]["reason"], told[0]
    assert "10 of 10 answers differ" in ask(two, "shadow", "one")
    assert two.status()["deployments"][0]["requests"] == 10


def test_the_same_answers_do_not_differ(root, serve):
    root.write("one/one.c", deployment("\t*y = 2 * x;"))
    server = serve()
    server.save("one/one.c", deployment("\t*y = x + x;"))
    ask(server, "shadow", "one", "1")
    for i in range(20):
        assert server.infer("one", x(i)).value == 2 * i
        compared(server, i + 1)
    facts = companion(server)
    assert (facts["differing"], facts["beside"]["failures"]) == (0, 0) and not server.seen("shadow.differs"), facts


def test_it_may_shadow_itself(two):
    ask(two, "shadow", "one", "2")
    two.infer("one")
    facts = compared(two, 1)
    assert facts["differing"] == 0 and facts["beside"]["generation"] == facts["serving"]["generation"] == 2, facts


TELLS = """
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
static int create(const struct devserve_host *host, void **ret)
{
	char note[4096];

	(void)host, (void)ret;
	snprintf(note, sizeof(note), "NOTE.%d", (int)getpid());
	close(open(note, O_CREAT | O_WRONLY, 0644));
	return 0;
}
"""


def is_loading(worker):
    """Whether a thread beside the one that serves is at work; else they wait for a futex (202)."""
    return any(task.name != str(worker) and (task / "syscall").read_text().split()[0] != "202"
               for task in pathlib.Path(f"/proc/{worker}/task").iterdir())


def test_a_call_of_the_generation_before_is_not_compared(root, serve, tmp_path):
    gates = [Gate(tmp_path / f"gate{i}").shut() for i in range(3)]
    note = tmp_path / "created"
    passes = "".join(f"\tif (x == {i}) pass_gate{i}();\n" for i in range(3))
    root.write("one/one.c", deployment(f"{passes}\t*y = 1;", "".join(
        gate.source.replace("pass_gate", f"pass_gate{i}") for i, gate in enumerate(gates))))
    server = serve("--gate", "off")
    answers, held = [], []

    def send(value):
        held.append(threading.Thread(target=lambda: answers.append(server.new_client().infer("one", x(value)))))
        held[-1].start()

    send(0)
    while not server.status()["deployments"][0]["in_flight"]:
        pass
    mark = server.mark()
    root.rename_over("one/one.c", constant(2, TELLS.replace("NOTE", str(note))).replace(
        ".infer = infer,", ".infer = infer, .create = create,"))
    while not any("is ready and waits" in e["reason"] for e in server.seen("notice", mark)):
        pass
    for value in (1, 2):  # in this order
        send(value)
        while (facts := server.status()["deployments"][0])["in_flight"] + facts["queued"] < value + 1:
            pass
    worker = facts["workers"][0]["pid"]
    gates[0].open()  # it loads the next one while call 1 runs,
    while not pathlib.Path(f"{note}.{worker}").exists() or is_loading(worker):
        pass
    gates[1].open()  # and swaps when call 2 has ended
    while devserve("shadow", "one", "2", "--root", root.path).returncode:
        pass
    assert not server.seen("swap.done", mark)
    gates[2].open()
    for thread in held:
        thread.join()
    server.wait("save.done", mark)
    assert [(a.value, a.generation) for a in answers] == [(1, 1)] * 3, answers
    facts = companion(server)
    assert (facts["serving"]["calls"], facts["compared"], facts["dropped"]) == (0, 0, 0), facts


def test_errors_and_wrong_shapes_are_differences(root, serve):
    source = deployment("\t*y = x;").replace("*y = x;", """int64_t n = {n};
	if (x == 7) return devserve_refuse(call, "seven is not liked");
	int32_t *out = devserve_output(call, 0, &n, 1); for (int64_t i = 0; i < n; i++) out[i] = x;""").replace(
        "INT32, { 1 } }),\n\t.infer", "INT32, { -1 } }),\n\t.infer").replace(", *y = (int32_t *)call->out[0].data", "")
    root.write("one/one.c", source.replace("{n}", "3"))
    server = serve()
    server.save("one/one.c", source.replace("{n}", "2").replace("x == 7", "0"))
    ask(server, "shadow", "one", "1")
    assert server.infer("one", x(1)).output() == [1, 1]
    assert "Y[3] where generation 2 answered Y[2]" in server.wait("shadow.differs")["reason"]
    ask(server, "shadow", "one", "1")
    mark = server.mark()
    assert server.infer("one", x(7)).output() == [7, 7]
    assert "returned -22 (seven is not liked)" in server.wait("shadow.differs", mark)["reason"]
    assert companion(server)["beside"]["failures"] == 1


def test_its_crash_harms_nobody(root, serve):
    root.write("one/one.c", deployment("\tif (x == 7) abort();\n\t*y = 1;", "#include <stdlib.h>"))
    server = serve()
    server.save("one/one.c", constant(2))
    pids = server.worker_pids("one")
    ask(server, "shadow", "one", "1")
    assert server.infer("one", x(7)).value == 2
    assert "signal 6" in server.wait("shadow.ended")["reason"]
    report = server.wait("crash.report")
    assert report["generation"] == 1 and "X INT32[1]" in report["call"], report
    assert companion(server) is None and server.worker_pids("one") == pids
    assert server.infer("one", x(7)).generation == 2 and server.status()["deployments"][0]["failures"] == 0


def test_what_it_writes_past_its_outputs_hits_nobodys_tensors(root, serve):
    """Large outputs are computed in place: behind them lie those of others, but none of a client's."""
    source = """\
#include <devserve/deployment.h>
#include <string.h>
static int infer(const struct devserve_call *call)
{
	memset(call->out[0].data, {value}, {size});
	return 0;
}
DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_UINT8, { 1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_UINT8, { 100000 } }),
	.infer = infer,
)
"""
    root.write("one/one.c", source.replace("{value}", "1").replace("{size}", "8 << 20"))
    server = serve()
    server.save("one/one.c", source.replace("{value}", "2").replace("{size}", "100000"))
    ask(server, "shadow", "one", "1")
    request = {"inputs": [{"name": "X", "datatype": "UINT8", "shape": [1], "data": [0]}]}
    wrong = []

    def load():
        client = server.new_client()
        for _ in range(20):
            if set(client.infer("one", request).output()) != {2}:
                wrong.append(1)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    server.wait("shadow.ended")


def test_a_slow_one_drops_copies_and_delays_nobody(root, serve, gate):
    root.write("one/one.c", deployment("\tpass_gate();\n\t*y = 1;", gate.source))
    root.write("one/deployment.yaml", "request_timeout_s: 60\n")
    server = serve()
    server.save("one/one.c", constant(2))
    ask(server, "shadow", "one", "1")
    gate.shut()
    for _ in range(100):
        assert server.infer("one").value == 2  # answered, while the shadow stands
    facts = companion(server)
    assert facts["dropped"] >= 80 and facts["compared"] == 0 and facts["queued"] <= 16, facts
    gate.open()
    facts = compared(server, 100)
    assert facts["compared"] + facts["dropped"] == 100 and facts["differing"] == facts["compared"] > 0, facts


def test_who_needs_memory_gets_that_of_copies(root, serve, gate):
    def source(statement):
        return deployment(f"\t{statement}\n\t*y = 1;", gate.source).replace("int32_t x = ((const int32_t *)", "int32_t x = ((const uint8_t *)"
                          ).replace('"X", DEVSERVE_INT32, { 1 }', '"X", DEVSERVE_UINT8, { -1 }')

    root.write("one/one.c", source("pass_gate();"))
    server = serve("--max-memory", "64M", "--max-recordings", "0")  # a recorder that copies would hold memory, too
    server.save("one/one.c", source(""))
    ask(server, "shadow", "one", "1")
    gate.shut()

    def call(size):
        return server.client.call("POST", "/v2/models/one/infer", bytes(size), {"Inference-Header-Content-Length": "0"})

    for _ in range(12):
        assert call(500_000).status == 200
    facts = companion(server)
    assert facts["queued"] + facts["in_flight"] >= 6, facts
    answer = call(54_500_000)
    assert answer.status == 200, answer
    assert companion(server)["queued"] == 0
    gate.open()
    assert compared(server, 13)["compared"] == 0  # what ran had no answer left to be compared with
    assert call(1000).status == 200
    assert compared(server, 14)["compared"] == 1


def test_one_that_hangs_is_ended(root, serve):
    root.write("one/one.c", deployment("\tfor (volatile int i = 0; x == 7; i++) ;\n\t*y = 1;"))
    root.write("one/deployment.yaml", "request_timeout_s: 0.2\n")
    server = serve()
    server.save("one/one.c", constant(2))
    ask(server, "shadow", "one", "1")
    assert server.infer("one", x(7)).value == 2
    assert "request_timeout_s" in server.wait("shadow.ended")["reason"]


def test_state_is_a_copy_that_nobody_else_sees(root, serve):
    """The shadow counts by tens: were one of its counts in the checkpoint, a new worker would go on from there."""
    root.copy("counter")
    source = root.read("counter/counter.c")
    root.write("counter/counter.c", source.replace("*delta, count", "*delta * 10, count"))
    server = serve()

    def count():
        return server.infer("counter", {"inputs": [{"name": "DELTA", "datatype": "INT64", "shape": [1], "data": [1]}]}
                            ).output("COUNT")[0]

    assert [count() for _ in range(3)] == [10, 20, 30]
    server.save("counter/counter.c", source, "counter")
    assert count() == 31
    assert "there is state" in ask(server, "shadow", "counter", "1")
    assert [count() for _ in range(5)] == [32, 33, 34, 35, 36]
    facts = compared(server, 5, "counter")
    assert facts["values"] is False and facts["differing"] == 0, facts
    for pid in server.worker_pids("counter"):
        os.kill(pid, signal.SIGKILL)  # the next one starts from the checkpoint
    assert count() == 37
    ask(server, "shadow", "counter", "off")
    server.stop()
    assert serve().infer("counter", {"inputs": [{"name": "DELTA", "datatype": "INT64", "shape": [1], "data": [1]}]}
                         ).output("COUNT")[0] == 38


@pytest.mark.parametrize("words", [("shadow",), ("canary", "50%")])
def test_its_speed_is_told_by_the_verdict_of_saves(root, serve, words):
    """Measured apart, on recorded calls: neither does a shadow's being behind everybody count, nor a canary's share."""
    root.write("one/one.c", kernel(4000))
    server = serve()
    server.save("one/one.c", kernel(2000))
    ask(server, words[0], "one", "1", *words[1:])
    deadline = time.monotonic() + PATIENCE
    while not (told := server.seen(f"{words[0]}.verdict")):  # clients go on asking
        assert server.infer("one", x(3)).value == 3 and time.monotonic() < deadline
    told = told[0]
    low, high = told["interval"]
    assert told["verdict"] in ("SLOWER", "UNSURE") and low <= told["ratio"] <= high < 1, told
    facts = companion(server)
    assert (facts["verdict"], facts["interval"]) == (told["verdict"], told["interval"]), facts
    assert "[" in ask(server, words[0], "one") and not server.seen("verdict", generation=1)


def test_batches_are_copied_as_they_were_joined(root, serve):
    source = """\
#include <devserve/deployment.h>
#include <unistd.h>
static int infer(const struct devserve_call *call)
{
	const float *x = (const float *)call->in[0].data;
	float *y = (float *)call->out[0].data;

	for (size_t i = 0; i < devserve_count(&call->in[0]); i++)
		y[i] = {k} * x[i];
	return 0;
}
DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP32, { 4 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_FP32, { 4 } }),
	.max_batch_size = 8,
	.max_queue_delay_microseconds = 20000,
	.infer = infer,
)
"""
    root.write("one/one.c", source.replace("{k}", "2"))
    server = serve()
    server.save("one/one.c", source.replace("{k}", "2.000001f"))
    ask(server, "shadow", "one", "1")
    answers = [None] * 8

    def call(i):
        data = [float(i)] * 4
        answers[i] = server.new_client().infer("one", {
            "inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 4], "data": data}]})

    threads = [threading.Thread(target=call, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(abs(a.output()[0] - 2 * i) < 1e-3 for i, a in enumerate(answers)), answers
    calls = next(d for d in server.status()["deployments"])["executions"]
    facts = compared(server, calls)
    assert facts["beside"]["requests"] == 8 and facts["beside"]["calls"] == calls < 8, facts
    assert facts["differing"] == 0, (facts, server.seen("shadow.differs"))  # within the tolerance of FP32


def test_large_tensors_are_copied_and_compared_too(root, serve):
    """By a thread, that is: whole, and the right ones."""
    n = 1 << 18
    source = """\
#include <devserve/deployment.h>
static int infer(const struct devserve_call *call)
{
	const float *x = (const float *)call->in[0].data;
	float *y = (float *)call->out[0].data;

	for (size_t i = 0; i < devserve_count(&call->in[0]); i++)
		y[i] = x[i] + 1;
	{wrong}
	return 0;
}
DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP32, { -1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_FP32, { -1 } }),
	.shape = DEVSERVE_SAME_SHAPE,
	.infer = infer,
)
"""
    root.write("one/one.c", source.replace("{wrong}", "if (x[5] == 7) y[200001] = 3;"))
    server = serve()
    server.save("one/one.c", source.replace("{wrong}", ""))
    ask(server, "shadow", "one", "1")
    for i in range(4):
        values = [0.0] * n
        values[5] = 7.0 if i == 3 else 1.0
        raw = struct.pack(f"<{n}f", *values)
        answer = server.client.call("POST", "/v2/models/one/infer", raw, {"Inference-Header-Content-Length": "0"})
        assert answer.status == 200, answer
        assert compared(server, i + 1)["differing"] == (i == 3)
    facts = companion(server)
    assert (facts["compared"], facts["dropped"]) == (4, 0), facts
    assert f"for X FP32[{n}]: Y[200001] is 3 where generation 2 answered 1" in server.wait("shadow.differs")["reason"]


def test_it_ends_when_it_is_told_to_and_leaves_no_process(two):
    ask(two, "shadow", "one", "1")
    pid = companion(two)["pids"][0]
    with open(f"/proc/{pid}/sched") as f:
        assert any(line.split()[0] == "policy" and line.split()[-1] == "5" for line in f), "it isn't SCHED_IDLE"
    ask(two, "shadow", "one", "off")
    wait_until_gone(pid)
    assert two.wait("shadow.ended")["reason"] == "it was asked to"
    ask(two, "shadow", "one", "1")
    assert two.save("one/one.c", constant(3))["outcome"] == "swapped"
    assert two.wait("shadow.ended", reason="another generation came to serve")


def test_beside_several_replicas_under_load_with_saves_no_request_is_lost(root, serve):
    root.write("one/one.c", constant(1))
    root.write("one/deployment.yaml", "num_replicas: 2\n")
    server = serve()
    server.save("one/one.c", constant(2))
    stop, wrong = threading.Event(), []

    def load():
        client = server.new_client()
        while not stop.is_set():
            answer = client.infer("one")
            if answer.status != 200 or answer.value != answer.generation:
                wrong.append(answer)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    for i in range(3, 9):
        ask(server, "shadow", "one", str(i - 2))
        if i % 2:
            compared(server, 20)
        if i % 3:
            os.kill(companion(server)["pids"][0], signal.SIGKILL)
        assert server.save("one/one.c", constant(i))["outcome"] == "swapped"
    stop.set()
    for t in threads:
        t.join()
    assert not wrong, wrong[:3]


def test_a_removed_deployment_takes_it_along(two):
    ask(two, "shadow", "one", "1")
    pid = companion(two)["pids"][0]
    two.infer("one")
    (two.root.path / "one" / "one.c").unlink()
    two.wait("deployment.removed", deployment="one")
    wait_until_gone(pid)
