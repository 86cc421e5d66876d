# SPDX-License-Identifier: MIT
"""What a deployment can say and do, seen by its clients."""

import re
import struct
import threading

import pytest

from devserve import constant


def request(*tensors, outputs=None):
    body = {"inputs": [{"name": n, "datatype": t, "shape": s, "data": d} for n, t, s, d in tensors]}
    if outputs:
        body["outputs"] = outputs
    return body


def deployment(inputs, outputs, infer, extra="", **fields):
    """C source of a deployment; `infer` is the body of its function."""
    more = "".join(f"\t.{k} = {v},\n" for k, v in fields.items())
    return f"""\
#include <string.h>
#include <stdlib.h>
#include <devserve/deployment.h>
{extra}
static int infer(const struct devserve_call *call)
{{
{infer}
}}
DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({inputs}),
	.outputs = DEVSERVE_TENSORS({outputs}),
{more}	.infer = infer,
)
"""


TYPES = {
    "BOOL": ("?", [True, False, True]), "UINT8": ("B", [0, 1, 255]), "UINT16": ("H", [0, 1, 65535]),
    "UINT32": ("I", [0, 1, 2**32 - 1]), "UINT64": ("Q", [0, 1, 2**64 - 1]), "INT8": ("b", [-128, 0, 127]),
    "INT16": ("h", [-2**15, 0, 2**15 - 1]), "INT32": ("i", [-2**31, 0, 2**31 - 1]),
    "INT64": ("q", [-2**63, 0, 2**63 - 1]), "FP16": ("e", [0.5, -2.0, 65504.0]),
    "FP32": ("f", [0.5, -1.25, 3.0]), "FP64": ("d", [0.1, -1e300, 3.0]), "BF16": ("H", [0x3f80, 0xc000, 0]),
}
COPY = "memcpy(call->out[0].data, call->in[0].data, call->in[0].size); return 0;"


def binary(name, datatype, shape, raw, server):
    import json
    head = json.dumps({"inputs": [{"name": "X", "datatype": datatype, "shape": shape,
                                   "parameters": {"binary_data_size": len(raw)}}],
                       "parameters": {"binary_data_output": True}}).encode()
    answer = server.client.call("POST", f"/v2/models/{name}/infer", head + raw,
                                {"Inference-Header-Content-Length": str(len(head))})
    assert answer.status == 200, answer
    return answer.body[int(answer.headers["Inference-Header-Content-Length"]):]


def test_every_datatype_goes_through_unchanged(root, serve):
    for t in TYPES:
        root.write(f"{t.lower()}.c", deployment(f'{{ "X", DEVSERVE_{t}, {{ -1 }} }}',
                                                f'{{ "Y", DEVSERVE_{t}, {{ -1 }} }}', COPY,
                                                shape="DEVSERVE_SAME_SHAPE"))
    server = serve()
    for t, (code, values) in TYPES.items():
        raw = struct.pack(f"<3{code}", *values)
        assert binary(t.lower(), t, [3], raw, server) == raw
        answer = server.infer(t.lower(), request(("X", t, [3], values)))
        if t in ("FP16", "BF16"):
            assert answer.status == 400 and "binary" in answer.json["error"]
        else:
            assert answer.output() == values


def test_bytes_come_in_and_go_out_in_a_shape_found_late(root, serve):
    root.write("split.c", deployment(
        '{ "TEXT", DEVSERVE_BYTES, { 1 } }', '{ "WORDS", DEVSERVE_BYTES, { -1 } }', """
	struct devserve_bytes text;
	size_t at = 0;
	int64_t n = 0;

	devserve_next(&call->in[0], &at, &text);
	for (size_t i = 0, start = 0; i <= text.size; i++) {
		if (i < text.size && text.data[i] != ' ')
			continue;
		if (devserve_append(call, 0, text.data + start, i - start) < 0)
			return -1;
		start = i + 1;
		n++;
	}
	return devserve_make(call, 0, n) ? 0 : -1;"""))
    server = serve()
    answer = server.infer("split", request(("TEXT", "BYTES", [1], ["two três 四"])))
    assert answer.json["outputs"][0]["shape"] == [3]
    assert answer.output("WORDS") == ["two", "três", "四"]
    long = " ".join(["word"] * 300_000)  # more than any guess: the worker has to ask for memory
    assert len(server.infer("split", request(("TEXT", "BYTES", [1], [long]))).output("WORDS")) == 300_000


GROW = deployment('{ "N", DEVSERVE_INT32, { 1 } }', '{ "Y", DEVSERVE_INT32, { -1 } }', """
	int32_t n = *(const int32_t *)call->in[0].data;
	int32_t *y = devserve_make(call, 0, n);

	if (!y)
		return -12;
	for (int32_t i = 0; i < n; i++)
		y[i] = i;
	return 0;""")


def test_outputs_find_their_size_from_nothing_to_large(root, serve):
    root.write("grow.c", GROW)
    server = serve()
    for n in (0, 1, 5, 100_000, 3, 2_000_000, 1):
        assert server.infer("grow", request(("N", "INT32", [1], [n]))).output() == list(range(n))


def test_an_output_over_the_memory_budget_is_an_error_and_no_more(root, serve):
    root.write("grow.c", GROW)
    server = serve("--max-memory", "16M")
    answer = server.infer("grow", request(("N", "INT32", [1], [100_000_000])))
    assert answer.status >= 500 and "memory" in answer.json["error"], answer
    assert server.infer("grow", request(("N", "INT32", [1], [2]))).output() == [0, 1]


def test_a_wrong_shape_of_an_output_is_the_deployments_failure(root, serve):
    root.write("liar.c", deployment('{ "X", DEVSERVE_INT32, { 1 } }', '{ "Y", DEVSERVE_INT32, { -1, 2 } }',
                                    "devserve_make(call, 0, 3, 3); return -1;"))
    root.write("mute.c", deployment('{ "X", DEVSERVE_INT32, { 1 } }', '{ "Y", DEVSERVE_INT32, { -1 } }',
                                    "return 0;"))
    server = serve()
    answer = server.infer("liar")
    assert answer.status == 500 and "contradicts" in answer.json["error"], answer
    answer = server.infer("mute")
    assert answer.status == 500 and "devserve_make" in answer.json["error"], answer


def test_errors_carry_the_sentence_and_who_is_to_blame(root, serve):
    root.write("judge.c", deployment('{ "X", DEVSERVE_INT32, { 1 } }', '{ "Y", DEVSERVE_INT32, { 1 } }', """
	int32_t x = *(const int32_t *)call->in[0].data;

	if (x == 1)
		return devserve_refuse(call, "%d is too small", x);
	if (x == 2)
		return devserve_fail(call, "lost at %s", "sea");
	if (x == 3)
		return -11; /* EAGAIN */
	if (x == 4)
		return -38; /* ENOSYS */
	return -5;"""))
    server = serve()
    ask = lambda x: server.infer("judge", request(("X", "INT32", [1], [x])))
    assert (ask(1).status, ask(1).json) == (400, {"error": "1 is too small"})
    assert (ask(2).status, ask(2).json) == (500, {"error": "lost at sea"})
    assert ask(3).status == 503 and ask(3).headers["Retry-After"]
    assert ask(4).status == 501
    assert ask(5).status == 500 and "-5" in ask(5).json["error"]
    assert ask(1).generation == 1


BATCH = deployment('{ "X", DEVSERVE_INT32, { 2 } }', '{ "Y", DEVSERVE_INT32, { 3 } }', """
	const int32_t *x = call->in[0].data;
	int32_t *y = call->out[0].data;

	for (uint32_t i = 0; i < call->batch; i++) {
		y[3 * i] = x[2 * i];
		y[3 * i + 1] = x[2 * i + 1];
		y[3 * i + 2] = (int32_t)call->batch;
	}
	return 0;""", max_batch_size=8, max_queue_delay_microseconds=300000)


def test_requests_that_wait_together_are_one_call(root, serve):
    root.write("batch.c", BATCH)
    server = serve()
    answers = {}

    def ask(i):
        answers[i] = server.new_client().infer("batch", request(("X", "INT32", [1, 2], [i, -i]))).output()

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert {i: a[:2] for i, a in answers.items()} == {i: [i, -i] for i in range(8)}
    assert max(a[2] for a in answers.values()) > 1  # they came within 300 ms of each other
    stats = next(d for d in server.status()["deployments"] if d["name"] == "batch")
    assert stats["executions"] < stats["requests"] == 8


def test_a_batch_is_held_to_its_declaration(root, serve):
    root.write("batch.c", BATCH)
    server = serve()
    assert server.infer("batch", request(("X", "INT32", [8, 2], list(range(16))))).output()[2::3] == [8] * 8
    answer = server.infer("batch", request(("X", "INT32", [9, 2], list(range(18)))))
    assert answer.status == 400 and "batch-size must be <= 8" in answer.json["error"], answer
    assert server.infer("batch", request(("X", "INT32", [2], [1, 2]))).status == 400


def test_bytes_are_joined_and_parted_too(root, serve):
    root.write("echo.c", deployment('{ "X", DEVSERVE_BYTES, { -1 } }', '{ "Y", DEVSERVE_BYTES, { -1 } }', """
	struct devserve_bytes one;

	for (size_t at = 0; devserve_next(&call->in[0], &at, &one);)
		if (devserve_append(call, 0, one.data, one.size) < 0)
			return -12;
	return 0;""", max_batch_size=8, max_queue_delay_microseconds=200000, shape="DEVSERVE_SAME_SHAPE"))
    server = serve()
    answers = {}

    def ask(i):
        words = [f"{i}" * i, "x", ""]
        answers[i] = server.new_client().infer("echo", request(("X", "BYTES", [1, 3], words))).output() == words

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers == {i: True for i in range(8)}


LIFE = deployment('{ "X", DEVSERVE_INT32, { 1 } }', '{ "Y", DEVSERVE_INT32, { 1 } }', """
	((int32_t *)call->out[0].data)[0] = ++*(int32_t *)call->self;
	return 0;""", extra="""
static int create(const struct devserve_host *host, void **self)
{
	devserve_log(host, DEVSERVE_INFO, "created");
	*self = calloc(1, sizeof(int32_t));
	return *self ? 0 : -12;
}

static const struct devserve_host *kept;

static void destroy(void *self)
{
	(void)kept;
	free(self);
}""", create="create", destroy="destroy")


def test_create_makes_what_calls_carry(root, serve):
    root.write("life.c", LIFE)
    server = serve()
    assert [server.infer("life").value for _ in range(3)] == [1, 2, 3]
    assert server.wait("log", deployment="life")["text"] == "created"


def test_a_create_that_fails_leaves_the_old_one_serving(root, serve):
    root.write("life.c", LIFE)
    server = serve()
    server.infer("life")
    broken = LIFE.replace("return *self ? 0 : -12;",
                          'devserve_log(host, DEVSERVE_ERROR, "no weights at %s", "home"); return -2;')
    done = server.save("life.c", broken)
    assert (done["outcome"], done["reason"]) == ("trial-failed", "no weights at home")
    answer = server.infer("life")
    assert (answer.value, answer.generation, answer.stale) == (2, 1, "trial-failed")


CXX = """\
#include <devserve/deployment.h>
#include <string>
struct Held { std::string s = "held"; ~Held() { s.clear(); } };
thread_local Held held;
static int infer(const devserve_call *call)
{
	static_cast<int32_t *>(call->out[0].data)[0] = VALUE + static_cast<int32_t>(held.s.size());
	return 0;
}
DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_INT32, { 1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_INT32, { 1 } }),
	.infer = infer,
)
"""


CXX20 = """\
#include <devserve/deployment.h>
#include <algorithm>
#include <concepts>
#include <span>
template <std::integral T> T twice(T x) { return 2 * x; }
static int infer(const devserve_call *call)
{
	std::span<int32_t> out(static_cast<int32_t *>(call->out[0].data), 1);
	std::ranges::fill(out, twice(VALUE));
	return 0;
}
DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_INT32, { 1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_INT32, { 1 } }),
	.infer = infer,
)
"""


def test_cxx_that_needs_the_later_standard_gets_it(root, serve):
    root.write("late.cc", CXX20.replace("VALUE", "21"))
    server = serve()
    assert server.infer("late").value == 42
    assert server.save("late.cc", CXX20.replace("VALUE", "5"))["outcome"] == "swapped"
    assert server.infer("late").value == 10
    mark = server.mark()
    server.save("late.cc", CXX20.replace("VALUE", "nothing"))
    [first, *_] = server.wait("build.failed", mark, deployment="late")["diagnostics"]
    assert "nothing" in first["message"]  # and not what the earlier standard lacks


def images_mapped(pid):
    maps = open(f"/proc/{pid}/maps").read()
    return set(re.findall(r"\S+/generations/\S+\.so", maps))


def test_old_images_are_unmapped(root, serve):
    root.write("one/one.c", constant(0))
    server = serve()
    for i in range(1, 6):
        server.save("one/one.c", constant(i))
        server.infer("one")
    server.save("one/one.c", constant(6))
    [pid] = server.worker_pids("one")
    # the one before may just be going: the answer to the next save says that it is gone
    assert len(images_mapped(pid)) <= 2
    assert not server.seen("notice", deployment="one")


def test_an_image_that_will_not_unmap_costs_the_worker_not_the_service(root, serve):
    root.write("held.cc", CXX.replace("VALUE", "10"))
    server = serve()
    [before] = server.worker_pids("held")
    assert server.infer("held").value == 14
    mark = server.mark()
    assert server.save("held.cc", CXX.replace("VALUE", "20"))["outcome"] == "swapped"
    server.wait("worker.replaced", mark, deployment="held")
    answer = server.infer("held")
    assert (answer.value, answer.generation) == (24, 2)
    [after] = server.worker_pids("held")
    assert after != before
    assert len(images_mapped(after)) == 1


def test_inputs_and_outputs_may_change_with_a_save(root, serve):
    root.write("one/one.c", constant(1))
    server = serve()
    server.infer("one")
    done = server.save("one/one.c", BATCH)
    assert done["outcome"] == "swapped"
    meta = server.client.call("GET", "/v2/models/one").json
    assert meta["inputs"] == [{"name": "X", "datatype": "INT32", "shape": [-1, 2]}]
    assert server.infer("one").status == 400
    assert server.infer("one", request(("X", "INT32", [1, 2], [1, 2]))).output() == [1, 2, 1]


@pytest.mark.parametrize("mistake, word", [
    (("{ \"X\", DEVSERVE_INT32, { 1 } }, { \"X\", DEVSERVE_INT32, { 1 } }", "{ \"Y\", DEVSERVE_INT32, { 1 } }"), "X"),
    (("{ \"X\", DEVSERVE_INT32, { 1, 0, 2 } }", "{ \"Y\", DEVSERVE_INT32, { 1 } }"), "shape"),
])
def test_a_declaration_that_cannot_be_is_refused_with_a_sentence(root, serve, mistake, word):
    root.write("odd.c", deployment(*mistake, "return 0;"))
    server = serve()
    failed = server.wait("trial.failed", deployment="odd")
    assert word in failed["reason"]
    answer = server.infer("odd")
    assert answer.status == 503 and word in answer.json["error"]
