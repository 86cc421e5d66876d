# SPDX-License-Identifier: MIT
"""Many clients that misbehave in one way, and beside them one that doesn't: it is answered, always,
and afterwards the server is what it was before."""

import json
import re
import shutil
import subprocess
import threading

import pytest
from devserve import BUILD, constant
from hostile import Bystander, Footprint, Wire, allow_descriptors, head, infer, sentence, turn, until

from test_compression import ECHO, binary_request
from test_limits import GROW, binary

GENEROUS = 20  # seconds: a bystander's answer that takes longer has been kept back


@pytest.fixture
def beside(record_property):
    """beside(server): a context in which a client as it should be asks, and is answered."""

    class Beside(Bystander):
        def __exit__(self, *error):
            super().__exit__(*error)
            if error == (None, None, None):
                assert self.n and not self.wrong, self.wrong[:3]
                assert self.worst < GENEROUS
                record_property("worst answer of the bystander, ms", round(self.worst * 1000, 1))

    return lambda server: Beside(server, "y", 7)


def newcomers(server, n):
    """Clients that come, ask one thing, and go."""
    for _ in range(n):
        with Wire(server.url) as wire:
            answer = wire.ask(infer(server.url, "y"))
            assert answer and answer[0] == 200, answer


def served(root, serve, *options):
    root.write("y.c", constant(7))
    root.write("grow.c", GROW)
    root.write("echo.c", ECHO)
    return serve(*options)


def test_slow_heads_in_every_place(root, serve, beside):
    server = served(root, serve, "--max-connections", "64", "--head-timeout", "3")
    with beside(server), Wire(server.url) as wire:
        turn(wire)
        sockets = Footprint(server).sockets
        slow = [Wire(server.url) for _ in range(100)]
        for i in range(40):
            for s in slow:
                s.try_send(head(server.url)[i:i + 1])
            turn(wire)
        with Wire(server.url) as new:  # a newcomer is answered, if only that he shall come again
            answer = new.ask(infer(server.url, "y"))
            assert answer[0] in (200, 503)
        for s in slow:
            assert s.has_news(10), "neither 408 nor closed"
            s.close()
        newcomers(server, 20)
        until(lambda: Footprint(server).sockets <= sockets, wire)


def test_slow_bodies_that_have_promised_much(root, serve, beside):
    """Each has memory for a tensor that never comes."""
    server = served(root, serve, "--max-memory", "64M", "--body-timeout", "5")
    body, size = binary_request(bytes(4 << 20))
    start = head(server.url, "POST", "/v2/models/echo/infer", f"Content-Length: {len(body)}",
                 f"Inference-Header-Content-Length: {size}") + body[:size + 1000]
    with Wire(server.url) as wire:
        turn(wire)
        before = Footprint(server)
        with beside(server):
            slow = [Wire(server.url).send(start) for _ in range(50)]
            until(lambda: sum(s.has_news() for s in slow) > 30, wire)  # the budget holds, others are told
            refused = [s for s in slow if s.has_news()]
            for s in refused:
                answer = s.answer()
                assert answer[0] == 503 and answer[1]["retry-after"] and "memory" in sentence(answer), answer
            newcomers(server, 50)
            held = [s.answer()[0] for s in slow if s not in refused]
            assert 408 in held and set(held) <= {408, 503}, held  # a late one was refused, too
            for s in slow:
                s.close()
        until(lambda: Footprint(server).sockets <= before.sockets, wire)
        until(lambda: Footprint(server).shared <= before.shared + (1 << 20), wire)


def test_slow_readers_of_much(root, serve, beside):
    server = served(root, serve, "--max-memory", "64M", "--max-recordings", "0", "--send-timeout", "2")
    with Wire(server.url) as wire:
        turn(wire)
        before = Footprint(server)
        with beside(server):
            slow = [Wire(server.url, receive_buffer=4096).send(infer(server.url, "grow", binary(2 << 20)))
                    for _ in range(20)]
            newcomers(server, 50)
            until(lambda: Footprint(server).sockets <= before.sockets + 1 + sum(
                s.has_news() and not s.is_dropped(0) for s in slow), wire)
            for s in slow:
                s.close()
        until(lambda: Footprint(server).shared <= before.shared + (1 << 20), wire)


def test_pipelining_without_reading(root, serve, beside):
    """Five clients that ask as much as the server takes, and read nothing."""
    server = served(root, serve)
    with Wire(server.url) as wire:
        turn(wire)
        sizes = []
        for _ in range(2):
            deaf = {Wire(server.url, receive_buffer=4096): 0 for _ in range(5)}
            data = (head(server.url) * 20 + infer(server.url, "y")) * 40
            with beside(server):
                quiet = 0
                while quiet < 30:  # until nobody's bytes are taken any more
                    quiet += 1
                    for d, sent in deaf.items():
                        n = d.try_send(data[sent % len(data):])
                        assert n >= 0
                        deaf[d] += n
                        quiet = 0 if n else quiet
                    turn(wire)
                sizes.append(Footprint(server).own)
            for d in deaf:
                d.reset()
            turn(wire)
        assert sizes[0] < 24 << 20  # five times a MiB of answers, and what holds them
        assert sizes[-1] < sizes[0] + (4 << 20), sizes


def test_two_thousand_idle_connections(root, serve, beside, record_property):
    if not allow_descriptors(4500):
        pytest.skip("not enough descriptors")
    server = served(root, serve, "--max-connections", "4000")
    with Wire(server.url) as wire:
        turn(wire)
        before, sizes = Footprint(server), []
        with beside(server):
            for _ in range(2):
                idle = [Wire(server.url) for _ in range(2000)]
                assert [w.ask(head(server.url))[0] for w in idle] == [200] * 2000
                sizes.append(Footprint(server).own)
                newcomers(server, 20)
                for w in idle:
                    w.close()
                until(lambda: Footprint(server).sockets <= before.sockets + 1, wire)
        record_property("bytes for an idle connection", (sizes[0] - before.own) // 2000)
        assert sizes[1] <= sizes[0] + (1 << 20), sizes
        assert sizes[0] <= before.own + 2000 * 4096


def test_more_connections_than_there_are_places(root, serve, beside):
    """Twice as many as the default: nobody is served worse for long, and the server stays."""
    if not allow_descriptors(4500):
        pytest.skip("not enough descriptors")
    server = served(root, serve)
    with Wire(server.url) as wire, beside(server):
        turn(wire)
        idle = [Wire(server.url) for _ in range(2000)]
        newcomer = None
        while not newcomer or newcomer[0] == 503:
            with Wire(server.url) as new:
                newcomer = new.ask(infer(server.url, "y"))
        assert newcomer[0] == 200
        for w in idle:
            w.close()
        newcomers(server, 20)


def test_few_descriptors_are_few_connections_and_no_end(root):
    root.write("y.c", constant(7))
    with subprocess.Popen(["prlimit", "--nofile=256:256", "setpriv", "--pdeathsig", "KILL", BUILD / "devserve",
                           root.path, "--json", "--port", "0"], stdout=subprocess.PIPE) as process:
        try:
            events = {}
            while "server.ready" not in events:
                event = json.loads(process.stdout.readline())
                events[event["event"]] = event
            assert "for 64 connections only" in events["notice"]["reason"]
            url = events["server.ready"]["url"]
            idle = [Wire(url) for _ in range(300)]
            answer = None
            while not answer or answer[0] == 503:  # until those who ask nothing have to go
                with Wire(url) as new:
                    answer = new.ask(infer(url, "y"))
            assert answer[0] == 200
            for wire in idle:
                wire.close()
        finally:
            process.terminate()


def test_one_fat_connection(root, serve, beside):
    """32 MiB after another, as fast as it goes."""
    server = served(root, serve)
    body, size = binary_request(bytes(32 << 20))
    data = head(server.url, "POST", "/v2/models/echo/infer", f"Content-Length: {len(body)}",
                f"Inference-Header-Content-Length: {size}") + body
    with Wire(server.url) as fat, beside(server):
        for _ in range(8):
            sender = threading.Thread(target=fat.send, args=(data, ))
            sender.start()
            assert len(fat.answer()[2]) > 32 << 20
            sender.join()


def test_connections_that_come_and_go(root, serve, beside):
    server = served(root, serve)
    with Wire(server.url) as wire, beside(server):
        turn(wire)
        before = Footprint(server)
        for _ in range(10):
            for i in range(500):
                w = Wire(server.url)
                w.try_send(infer(server.url, "y")[:i])
                w.reset() if i % 2 else w.close()
            until(lambda: Footprint(server).sockets <= before.sockets + 1, wire)
        # Exchanges and what they have grown to are kept for the next, up to 256 of them.
        assert Footprint(server).own <= before.own + (16 << 20)


# What others attack with. The path answers at length for -X, takes a body for -B.
ATTACKS = {
    "slow-heads": ["-H", "-i", "1", "-t", "GET"],
    "slow-bodies": ["-B", "-i", "1", "-s", "1000000"],
    "slow-readers": ["-X", "-k", "10", "-n", "1", "-w", "1", "-y", "64"],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_slowhttptest(root, serve, beside, tmp_path, attack):
    if not shutil.which("slowhttptest"):
        pytest.skip("no slowhttptest here")
    server = served(root, serve, "--max-connections", "200")
    path = "/v2/models/echo/infer" if "-B" in ATTACKS[attack] else "/v2/models/echo"
    with beside(server):
        done = subprocess.run(["slowhttptest", *ATTACKS[attack], "-c", "250", "-r", "250", "-l", "4", "-p", "3",
                               "-u", server.url + path], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", done.stdout + done.stderr)
    seen = re.findall(r"service available: *(YES|NO)", text)
    assert seen and "NO" not in seen, text[-2000:]
