# SPDX-License-Identifier: MIT
"""Clients that are slow, silent or too many: each limit, what is answered, and what is freed."""

import contextlib
import json
import time

import pytest
from devserve import PATIENCE, constant, deployment, x
from hostile import Footprint, Wire, head, infer, post, sentence, turn, until

# Y has as many elements as X says: answers of any size.
GROW = """\
#include <devserve/deployment.h>

static int infer(const struct devserve_call *call)
{
	int32_t n = ((const int32_t *)call->in[0].data)[0], *y = devserve_make(call, 0, n);

	for (int32_t i = 0; y && i < n; i++)
		y[i] = i;
	return y ? 0 : -12;
}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_INT32, { 1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_INT32, { -1 } }),
	.infer = infer,
)
"""


def waiting(gate):
    """A deployment whose calls have to pass the gate, which is shut."""
    return deployment("\tpass_gate();\n\t*y = x;", gate.shut().source)


def binary(n):
    """A request to GROW for n elements, as raw bytes."""
    return {**x(n), "parameters": {"binary_data_output": True}}


def serve_constant(root, serve, *options):
    root.write("y.c", constant(7))
    return serve(*options)


# --- time


def test_a_head_that_does_not_end_is_408_however_often_a_byte_comes(root, serve):
    server = serve_constant(root, serve, "--head-timeout", "1")
    with Wire(server.url) as silent, Wire(server.url) as drip:
        silent.send(head(server.url)[:-1])
        drip.send(b"GET /v2 HTTP/1.1\r\nA: ")
        while not drip.has_news(0.01):
            drip.try_send(b"a")
        for wire in silent, drip:
            answer = wire.answer()
            assert answer[0] == 408 and "--head-timeout" in sentence(answer), answer
            assert answer[1]["connection"] == "close" and wire.is_cut()


def test_a_body_that_stays_away_is_408(root, serve):
    server = serve_constant(root, serve, "--body-timeout", "1")
    with Wire(server.url) as wire:
        answer = wire.ask(infer(server.url, "y")[:-1])
        assert answer[0] == 408 and "--body-timeout" in sentence(answer), answer
        assert answer[1]["connection"] == "close" and wire.is_cut()


@pytest.mark.parametrize("framing", ["Content-Length: 100000000", "Transfer-Encoding: chunked"])
def test_a_body_below_the_least_rate_is_408(root, serve, framing):
    server = serve_constant(root, serve, "--body-timeout", "1", "--min-rate", "1000000")
    with Wire(server.url) as wire:
        wire.send(head(server.url, "POST", "/v2/models/y/infer", framing))
        deadline = time.monotonic() + PATIENCE
        while not wire.has_news(0.01):
            assert time.monotonic() < deadline, "it is still waited for"
            wire.try_send(b" " if "Length" in framing else b"1\r\n \r\n")
        answer = wire.answer()
        assert answer[0] == 408 and "--min-rate" in sentence(answer), answer


def test_a_body_that_nobody_wants_has_the_same_limits(root, serve):
    server = serve_constant(root, serve, "--body-timeout", "1")
    with Wire(server.url) as wire:
        answer = wire.ask(head(server.url, "POST", "/v2/models/nope/infer", "Content-Length: 1000"))
        assert answer[0] == 404 and wire.is_cut()


def test_a_body_whose_request_waits_behind_another_is_given_its_time(root, serve, gate):
    root.write("held.c", waiting(gate))
    server = serve_constant(root, serve, "--body-timeout", "1")
    with Wire(server.url) as wire, Wire(server.url) as beside, Wire(server.url) as late:
        body = json.dumps(x(5)).encode()
        wire.send(infer(server.url, "held", x(3)))
        wire.send(head(server.url, "POST", "/v2/models/y/infer", f"Content-Length: {len(body)}",
                       "Expect: 100-continue"))
        turn(beside)
        answer = late.ask(infer(server.url, "y")[:-1])  # its limit passes while the first call runs
        assert answer[0] == 408 and not wire.has_news()
        gate.open()
        assert [wire.answer()[0], wire.answer()[0]] == [200, 100]
        assert wire.ask(body)[0] == 200


def test_a_connection_that_asks_nothing_is_closed(root, serve, gate):
    root.write("held.c", waiting(gate))
    server = serve_constant(root, serve, "--idle-timeout", "1")
    with Wire(server.url) as never, Wire(server.url) as once, Wire(server.url) as busy:
        busy.send(infer(server.url, "held", x(3)))
        assert once.ask(head(server.url))[0] == 200
        assert never.is_cut() and once.is_cut()
        assert not busy.has_news()  # who waits for an answer isn't idle
        gate.open()
        assert busy.answer()[0] == 200


def test_a_client_that_takes_nothing_of_its_answer_is_dropped_and_its_memory_freed(root, serve):
    root.write("grow.c", GROW)
    server = serve("--send-timeout", "3", "--max-recordings", "0")  # longer than the server waits before it tidies up
    with Wire(server.url) as beside, Wire(server.url, receive_buffer=4096) as wire:
        turn(beside)
        before = Footprint(server)
        wire.send(infer(server.url, "grow", binary(4 << 20)))
        assert wire.is_dropped()
        until(lambda: Footprint(server).sockets == before.sockets - 1, beside)
        until(lambda: Footprint(server).shared <= before.shared + (1 << 20), beside)


# As `waiting`, of any size and for up to eight at once; Y is X.
JOINED = """\
#include <devserve/deployment.h>
#include <string.h>
%s
static int infer(const struct devserve_call *call)
{
	pass_gate();
	memcpy(call->out[0].data, call->in[0].data, call->in[0].size);
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_UINT8, { -1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_UINT8, { -1 } }),
	.shape = DEVSERVE_SAME_SHAPE,
	.max_batch_size = 8,
	.infer = infer,
)
"""


def bytes_of(server, data):
    """A request to JOINED for one row, in and out as raw bytes."""
    said = json.dumps({"inputs": [{"name": "X", "datatype": "UINT8", "shape": [1, len(data)],
                                   "parameters": {"binary_data_size": len(data)}}],
                       "parameters": {"binary_data_output": True}}).encode()
    return post(server.url, "/v2/models/joined/infer", said + data, f"Inference-Header-Content-Length: {len(said)}")


def test_requests_that_do_not_fit_into_memory_together_are_run_apart(root, serve, gate):
    root.write("joined.c", JOINED % gate.shut().source)
    server = serve("--max-memory", "64M")
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.url)) for _ in range(10)]
        sent = [bytes([i]) * (i + 1 if i < 2 else 3 << 20) for i in range(10)]
        beside = stack.enter_context(Wire(server.url))
        for wire, data in zip(wires, sent):
            wire.send(bytes_of(server, data))
            turn(beside)  # the first two are what a worker gets in advance
        until(lambda: server.status()["deployments"][0]["queued"] == 8, beside)
        gate.open()
        for wire, data in zip(wires, sent):
            status, _, body = wire.answer()
            assert status == 200 and body.endswith(data), body[:200]


def test_a_client_that_reads_slowly_but_reads_is_served(root, serve):
    root.write("grow.c", GROW)
    server = serve("--send-timeout", "1", "--min-rate", "1000")
    with Wire(server.url, receive_buffer=65536) as wire:
        wire.send(infer(server.url, "grow", binary(4 << 20)))
        for _ in range(20):  # 5 seconds, in which the kernel's own buffer doesn't run low
            wire.more()
            assert not wire.is_cut()
            wire.is_dropped(250)
        answer = wire.answer()
        assert answer[0] == 200 and len(answer[2]) > 16 << 20


def test_a_client_that_takes_its_answer_below_the_least_rate_is_dropped(root, serve):
    root.write("grow.c", GROW)
    server = serve("--send-timeout", "1", "--min-rate", "100000000")
    with Wire(server.url, receive_buffer=4096) as wire:
        wire.send(infer(server.url, "grow", binary(4 << 20)))
        taken, deadline = 0, time.monotonic() + PATIENCE
        while not wire.is_dropped(10):  # never a second without a byte
            assert time.monotonic() < deadline, "it isn't dropped"
            taken += len(wire.socket.recv(1000))
        assert 0 < taken < 16 << 20


# --- number


def test_beyond_the_connections_health_is_answered_and_all_else_is_503(root, serve, gate):
    root.write("held.c", waiting(gate))
    server = serve_constant(root, serve, "--max-connections", "4")
    server.client.close()
    busy = [Wire(server.url).send(infer(server.url, "held", x(i))) for i in range(4)]
    with Wire(server.url) as guest:
        assert guest.ask(head(server.url))[0] == 200
        assert guest.ask(head(server.url, "GET", "/v2/health/ready"))[0] == 200
        with Wire(server.url) as other:
            answer = other.ask(infer(server.url, "y") + head(server.url))
            assert answer[0] == 503 and "--max-connections" in sentence(answer), answer
            assert answer[1]["retry-after"] and answer[1]["connection"] == "close" and other.is_cut()
        gate.open()
        assert [wire.answer()[0] for wire in busy] == [200] * 4
        busy.pop().close()
        turn(guest)
        assert guest.ask(infer(server.url, "y"))[0] == 200  # a place has become free


def test_who_asks_nothing_gives_way_to_who_does(root, serve):
    server = serve_constant(root, serve, "--max-connections", "4")
    silent = [Wire(server.url) for _ in range(2)]
    halves = [Wire(server.url).send(head(server.url)[:-1]) for _ in range(2)]
    answer = None
    while not answer or answer[0] == 503:  # until the silent ones have been silent for a second
        with Wire(server.url) as wire:
            answer = wire.ask(infer(server.url, "y"))
    assert answer[0] == 200
    for wire in silent + halves:
        wire.close()
