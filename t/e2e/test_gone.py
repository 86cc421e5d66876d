# SPDX-License-Identifier: MIT
"""Clients that leave: what they held is free, and nothing is computed for nobody."""

import pytest
from devserve import X, x
from hostile import Footprint, Wire, infer, sentence, turn, until

# Appends each X that it computes to a file; then it has to pass a gate.
LEDGER = """\
#include <devserve/deployment.h>
#include <stdio.h>
{gate}
static int infer(const struct devserve_call *call)
{{
	int32_t x = ((const int32_t *)call->in[0].data)[0];
	FILE *f = fopen("{path}/ledger", "a");

	fprintf(f, "%d\\n", x);
	fclose(f);
	pass_gate();
	((int32_t *)call->out[0].data)[0] = x;
	return 0;
}}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({{ "X", DEVSERVE_INT32, {{ 1 }} }}),
	.outputs = DEVSERVE_TENSORS({{ "Y", DEVSERVE_INT32, {{ 1 }} }}),
	.infer = infer,
)
"""


class Ledger:
    def __init__(self, path, gate):
        self.path, self.gate = path, gate.shut()

    def source(self):
        return LEDGER.format(path=self.path, gate=self.gate.source)

    def computed(self):
        file = self.path / "ledger"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def go_on(self):
        self.gate.open()


@pytest.fixture
def ledger(tmp_path, gate):
    return Ledger(tmp_path, gate)


@pytest.fixture
def server(root, serve, ledger):
    root.write("held.c", ledger.source())
    return serve()


def leave_by_reset(wire):
    wire.reset()


def leave_by_end(wire):
    wire.close()


@pytest.mark.parametrize("leave", [leave_by_reset, leave_by_end])
def test_calls_of_who_has_gone_are_not_begun(server, ledger, leave):
    """One runs, one lies in the worker's ring already, the others wait in the server."""
    with Wire(server.url) as beside, Wire(server.url) as stays:
        goes = [Wire(server.url) for _ in range(8)]
        goes[0].send(infer(server.url, "held", x(100)))
        until(lambda: ledger.computed() == [100], beside)
        for i, wire in enumerate(goes[1:]):
            wire.send(infer(server.url, "held", x(101 + i)))
        turn(beside)
        stays.send(infer(server.url, "held", x(7)))
        turn(beside)
        sockets = Footprint(server).sockets
        for wire in goes:
            leave(wire)
        until(lambda: Footprint(server).sockets == sockets - len(goes), beside)
        ledger.go_on()
        assert stays.answer()[0] == 200
        assert ledger.computed() == [100, 7]
        assert beside.ask(infer(server.url, "held", x(8)))[0] == 200


def test_a_request_that_is_not_begun_within_its_own_timeout_is_504_and_not_run(server, ledger):
    """The protocol's parameter `timeout`, in microseconds."""
    def hasty(value, timeout):
        return infer(server.url, "held", {**x(value), "parameters": {"timeout": timeout}})

    with Wire(server.url) as beside, Wire(server.url) as runs, Wire(server.url) as stays:
        runs.send(hasty(100, 1_000_000))
        until(lambda: ledger.computed() == [100], beside)
        hurried = [Wire(server.url).send(hasty(i, 1_100_000 + i)) for i in range(4)]
        patient = [Wire(server.url).send(hasty(7, t)) for t in (0, 60_000_000, (1 << 64) - 1)]
        stays.send(infer(server.url, "held", x(8)))
        for wire in hurried:
            answer = wire.answer()
            assert answer[0] == 504 and sentence(answer).startswith("Request timeout expired"), answer
            assert answer[1]["x-devserve-generation"] == "1"
            wire.close()
        assert not runs.has_news()
        ledger.go_on()
        for wire in [runs, stays, *patient]:
            assert wire.answer()[0] == 200
        assert sorted(ledger.computed()) == [7, 7, 7, 8, 100]
        for wrong in -1, 1.5, "1", None, True:
            assert beside.ask(hasty(1, wrong))[0] == 400, wrong


def test_who_only_closed_his_side_gets_his_answer(server, ledger):
    with Wire(server.url) as wire, Wire(server.url) as beside:
        wire.send(infer(server.url, "held", x(5)))
        wire.socket.shutdown(1)
        answer = wire.answer()
        assert answer[0] == 100  # is anybody there?
        ledger.go_on()
        while answer[0] == 100:
            answer = wire.answer()
        assert answer[0] == 200 and wire.is_cut()
        turn(beside)


def test_an_http_1_0_client_is_asked_nothing(server, ledger):
    with Wire(server.url) as old, Wire(server.url) as wire:
        old.send(infer(server.url, "held", x(5)).replace(b"HTTP/1.1", b"HTTP/1.0"))
        wire.send(infer(server.url, "held", x(6)))
        for w in old, wire:
            w.socket.shutdown(1)
        assert wire.answer()[0] == 100 and not old.has_news()
        ledger.go_on()
        assert old.answer()[0] == 200


def test_what_is_half_sent_is_given_back(server, ledger):
    """At every place of a request that fills memory: head, JSON, tensor."""
    ledger.go_on()
    with Wire(server.url) as beside:
        assert beside.ask(infer(server.url, "held"))[0] == 200
        turn(beside)
        sockets, sizes = Footprint(server).sockets, []
        data = infer(server.url, "held", {**X, "id": "i" * 1000, "parameters": {"p": "x" * 1_000_000}})
        for _ in range(5):
            for leave in leave_by_reset, leave_by_end:
                wires = [Wire(server.url).send(data[:at]) for at in range(1, len(data), 99_999)]
                turn(beside)
                for wire in wires:
                    leave(wire)
                until(lambda: Footprint(server).sockets == sockets, beside)
                sizes.append(Footprint(server).own)
        assert sizes[-1] <= sizes[5] + (1 << 20), sizes  # what malloc() keeps is kept once, after some rounds



def test_an_answer_to_nobody_is_dropped(root, serve, ledger):
    """Its memory is free again once the call has ended."""
    root.write("held.c", ledger.source().replace('{ 1 } }),\n	.infer', '{ 4000000 } }),\n	.infer'))
    server = serve()
    with Wire(server.url) as beside:
        turn(beside)
        before = Footprint(server)
        wire = Wire(server.url).send(infer(server.url, "held", x(1)))
        until(lambda: ledger.computed() == [1], beside)
        wire.reset()
        until(lambda: Footprint(server).sockets == before.sockets, beside)
        ledger.go_on()
        until(lambda: Footprint(server).shared <= before.shared + (1 << 20), beside)
        assert beside.ask(infer(server.url, "held", x(2)))[0] == 200
