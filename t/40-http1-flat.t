#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Many requests of every kind leave the server as it was: no byte and no descriptor stays.

Each kind comes often enough once, until pools and buffers have found their size, and then
several times more: now the server's own memory may not grow any further. Beside all of them a
client that does nothing wrong asks again and again, and is answered; its longest wait is told.
"""

import pathlib
import re
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent / "lib"))
import wire
from wire import *

GROWTH_KB = 256 if not os.environ.get("DEVSERVE_SANITIZE") else 64 * 1024  # freed memory waits in quarantine there
server = serve()
if not server.process:
    print("1..0 # SKIP only of a server of our own the memory can be seen")
    sys.exit()
proc = pathlib.Path(f"/proc/{server.process.pid}")


def memory_kb():
    """Pages that are the server's alone; what it shares with its workers is counted by the arena."""
    return int(re.search(r"RssAnon:\s+(\d+)", (proc / "status").read_text())[1])


def connections():
    """Its sockets; how many workers it has, and pipes to them, isn't decided here."""
    n = 0
    for fd in (proc / "fd").iterdir():
        try:
            n += os.readlink(fd).startswith("socket:")
        except FileNotFoundError:
            pass
    return n


class Beside(threading.Thread):
    """A client that does nothing wrong."""

    def __init__(self):
        super().__init__(daemon=True)
        self.line, self.wrong, self.worst, self.n = Line(), [], 0, 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            at = time.monotonic()
            a = self.line.send(infer(self.n)).answer()
            self.worst = max(self.worst, time.monotonic() - at)
            if not is_sum(a, self.n):
                self.wrong.append(a)
                return
            self.n += 1
            self.ended.wait(0.002)

    def end(self):
        self.ended.set()
        self.join()
        self.line.socket.close()


def flat(sentence, once, times):
    """`once` is what happens; `times` times it happens while nothing may grow."""
    client = Beside()
    client.start()
    for _ in range(2):
        once()
    turn()
    settled, before = memory_kb(), connections()
    for _ in range(times):
        once()
    client.end()
    deadline = time.monotonic() + PATIENCE
    while connections() >= before and time.monotonic() < deadline:  # the client's has gone as well
        turn()
    grown = memory_kb() - settled
    print(f"# {sentence}: {grown:+} KB; beside it {client.n} requests, the longest {client.worst * 1000:.1f} ms")
    ok(grown <= GROWTH_KB, f"{sentence}: memory is flat", f"{grown} KB")
    ok(connections() < before, f"{sentence}: no connection is left", (before, connections()))
    ok(client.n and not client.wrong, f"{sentence}: others are answered", client.wrong)


def ten_thousand():
    """On one connection, one after the other."""
    with Line() as line:
        wrong = []

        def a_thousand():
            for k in range(200):
                for data, good in ((infer(k), is_sum), (binary_request(k), is_binary_sum)):
                    a = line.send(data).answer()
                    if not good(a, k):
                        wrong.append(a)
                for data, status in ((get("/nope"), 404), (post(INFER, b"{"), 400), (get(method="OPTIONS"), 204)):
                    if line.send(data).status() != status:
                        wrong.append(data)

        flat("10,000 requests on one connection", a_thousand, 8)
        ok(not wrong, "all of them are answered as they should be", wrong)


def pipelined():
    """A thousand at once, read when all are sent."""
    wrong = []

    def once():
        with Line() as line:
            line.send(b"".join(get() + infer(k) for k in range(500)))
            for k in range(500):
                if line.status() != 200 or not is_sum(line.answer(), k):
                    wrong.append(k)

    flat("1,000 pipelined, ten times", once, 8)
    ok(not wrong, "all of them are answered in their order", wrong)


BAD = [get("/v2", "A : b"), get("/v2", "Transfer-Encoding: x"), get("/" + "a" * 9000), get("/v2", "A: " + "b" * 17000),
       b"\x16\x03\x01", get(method="BREW"), get(version="HTTP/2.0"), chunk_post(b"zz\r\n"), chunk_post(b"5\r\n{\"a\":\r\nzz"),
       chunk_post(b"1;" + b"a" * 20000), post(INFER, b"", "Content-Length: 999999999999", length=False),
       get("/v2", *[f"A{i}: b" for i in range(200)]), infer(1, "Expect: nothing"), get("/v2", "Host: evil.example")]


def refused():
    def once():
        for data in BAD * 10:
            with Line() as line:
                line.send(data).answer()

    flat("requests that are refused", once, 10)


def vanishing():
    """The line is cut, with a reset, anywhere in a request, or while it runs."""
    data = [infer(1), binary_request(1), chunk_post(chunked(json_body(1), 9) + b"0\r\n\r\n"), infer(1) + get("/v2")[:9]]

    def once():
        for whole in data:
            for cut in (*range(1, len(whole), 13), len(whole)):
                turn()  # that the one before has gone
                with Line() as line:
                    line.send(whole[:cut])
                    line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    flat("clients that vanish", once, 8)


def unwanted():
    """Bodies that nobody wants: passed over where they are small, else the line is cut."""
    def once():
        with Line() as line:
            for _ in range(4):
                line.send(post("/v2/models/nope/infer", b"x" * 500000)).answer()
        with Line() as line:
            try:
                line.send(post("/v2/models/nope/infer", b"x" * 3000000))
            except OSError:
                pass
            line.answer()

    flat("bodies that nobody wants", once, 20)


def half_closed():
    def once():
        for k in range(50):
            with Line() as line:
                line.send(infer(k)).socket.shutdown(socket.SHUT_WR)
                line.answer()
            with Line() as line:
                line.send(infer(k)[:-1]).socket.shutdown(socket.SHUT_WR)
                line.answer()

    flat("clients that close their side", once, 10)


run(ten_thousand, pipelined, refused, vanishing, unwanted, half_closed)
