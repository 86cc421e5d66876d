#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""HTTP/1.1 as bytes on a socket: what is answered, in which order, and when the line is cut.

Nothing here waits for time but the three tests of time limits, whose sockets are opened
first and looked at last.
"""

import json
import pathlib
import re
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent / "lib"))
from wire import *


def answers_and_headers():
    a = ask(infer(5))
    ok(is_sum(a, 5), "sums and differences of JSON tensors", a)
    ok(re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", a[1].get("date", "")), "Date", a)
    ok(a[1].get("x-devserve-generation", "").isdigit(), "the generation is named", a)
    ok("connection" not in a[1], "HTTP/1.1 stays open without a word", a)
    a = ask(binary_request(5))
    ok(is_binary_sum(a, 5), "binary tensors in and out", a)
    for path, want in (("/v2/health/live", {"live": True}), ("/v2/health/ready", {"ready": True}),
                       ("/v2/models/simple/ready", {"name": "simple", "ready": True}),
                       ("/v2/models/simple/versions/1/ready", {"name": "simple", "ready": True})):
        a = ask(get(path))
        ok(a and a[0] == 200 and json.loads(a[2]) == want, path, a)
    a = ask(get("/v2"))
    ok(a[0] == 200 and json.loads(a[2])["name"] == "devserve", "/v2", a)
    a = ask(get("/v2/models/simple"))
    ok(a[0] == 200 and [t["name"] for t in json.loads(a[2])["inputs"]] == ["INPUT0", "INPUT1"],
       "metadata", a)


def names_and_targets():
    for path in ("/v2/models/simple/infer?x=1&y", "/v2/models/%73imple/infer",
                 "/v2/models/simple/versions/1/infer", f"http://{host}{INFER}"):
        a = ask(post(path, json_body()))
        ok(is_sum(a), path, a)
    for path, status in (("/v2/models/s%00imple", 400), ("/v2/models/a%2fb", 400), ("/v2/models/%zz", 400),
                         ("/v2/models/%73imple%2e%2e", 404), ("/v2/models/simple/versions/2", 404),
                         ("/v2/models/simple/versions/x", 404), ("/v2/models/simple/nope", 404),
                         ("/v2/nope", 404), ("/nope", 404), ("/v2/models/..", 400),
                         ("http://other.example/v2", 400)):
        a = ask(get(path))
        ok(a and a[0] == status and error_of(a), f"{path}: {status}", a)
    a = ask(post("/v2/models/nope/infer", json_body()))
    ok(error_of(a) == "Request for unknown model: 'nope' is not found", "unknown model", a)
    a = ask(get("/v2/models/%22%3c%ff%5c"))
    ok(error_of(a), "a name that must be escaped makes a valid error", a)
    a = ask(get("*", method="OPTIONS"))
    ok(a and a[0] in (200, 204) and "allow" in a[1], "OPTIONS *", a)


def split_anywhere():
    """Both halves of a request, cut at every byte, arrive in different reads."""
    for kind, data, good in (("JSON", infer(3), is_sum), ("binary", binary_request(3), is_binary_sum),
                             ("chunked", chunk_post(chunked(json_body(3), 1, 17) + b"0\r\nX: y\r\n\r\n"), is_sum)):
        with Line() as line:
            bad = []
            for cut in range(1, len(data)):
                line.send(data[:cut])
                turn()
                a = line.send(data[cut:]).answer()
                if not good(a, 3):
                    bad.append((cut, a))
                    break
            ok(not bad, f"a {kind} request may be cut anywhere", bad)
        with Line() as line:
            for byte in data:
                line.send(bytes([byte]))
            a = line.answer()
            ok(good(a, 3), f"a {kind} request may come byte by byte", a)


def two_glued():
    """Where one ends and the next begins doesn't depend on how they come."""
    head = get("/v2/models/simple", method="HEAD")
    for kind, first, second, is_first, is_second in (
            ("JSON and binary", infer(3), binary_request(4), lambda a: is_sum(a, 3), lambda a: is_binary_sum(a, 4)),
            ("binary and JSON", binary_request(4), infer(3), lambda a: is_binary_sum(a, 4), lambda a: is_sum(a, 3)),
            ("chunked and GET", chunk_post(chunked(json_body(3), 5) + b"0\r\nA: b\r\n\r\n"), get("/v2/models/nope"),
             lambda a: is_sum(a, 3), lambda a: a and a[0] == 404),
            ("an unwanted body and JSON", post("/nope", json_body(9)), infer(3), lambda a: a and a[0] == 404,
             lambda a: is_sum(a, 3)),
            ("HEAD and JSON", head, infer(3), lambda a: a and a[0] == 200, lambda a: is_sum(a, 3))):
        data, bad = first + second, []
        with Line() as line:
            for cut in range(1, len(data)):
                line.send(data[:cut])
                turn()
                line.send(data[cut:])
                a, b = line.answer(first is head), line.answer()
                if not (is_first(a) and is_second(b)):
                    bad = [cut, a, b]
                    break
        ok(not bad, f"{kind}, glued together, may be cut anywhere", bad)


def pipelining():
    n = 1000
    with Line() as line:
        line.send(get() * n)
        ok([line.status() for _ in range(n)] == [200] * n, "1,000 requests at once are all answered")
        line.send(b"".join(infer(k) for k in range(300)))
        wrong = [k for k in range(300) if not is_sum(line.answer(), k)]
        ok(not wrong, "inferences are answered in the order of the requests", wrong)
        line.send(infer(1) + get("/nope") + binary_request(2) + post(INFER, b"{") + get())
        a = [line.answer() for _ in range(5)]
        ok(is_sum(a[0], 1) and a[1][0] == 404 and is_binary_sum(a[2], 2) and a[3][0] == 400 and a[4][0] == 200,
           "errors and answers of all kinds keep their order", a)
        line.send(get() * 200 + get("/v2/health/live", "Connection: close") + get())
        a = [line.status() for _ in range(201)]
        ok(a == [200] * 201 and line.is_cut(), "nothing is answered after Connection: close", a)
    with Line() as line:
        line.send(get() * 500)
        line.socket.shutdown(socket.SHUT_WR)
        a = [line.status() for _ in range(500)]
        ok(a == [200] * 500 and line.is_cut(), "half-closed after 500 requests: all are answered", a)


def not_reading():
    """A client that asks and doesn't listen is not read either, and nobody else notices."""
    line = Line()
    line.socket.setblocking(False)
    data, sent, blocked = get() * 1000, 0, 0
    while blocked < 50 and sent < 200 * len(data):
        try:
            sent += line.socket.send(data[sent % len(data):])
            blocked = 0
        except BlockingIOError:
            blocked += 1
            turn()
    ok(blocked, "the server stops reading", sent)
    a = ask(infer(1))
    ok(is_sum(a, 1), "others are served", a)
    line.socket.settimeout(PATIENCE)
    whole = sent // len(get())
    good = sum(line.status() == 200 for _ in range(whole))
    ok(good == whole, "once it listens, all it asked for is answered", (good, whole))
    line.socket.close()


def chunks():
    body = json_body(7)
    for kind, raw in (("one", chunked(body, len(body)) + b"0\r\n\r\n"),
                      ("of one byte each", chunked(body, *[1] * len(body)) + b"0\r\n\r\n"),
                      ("with extensions and trailers", chunked(body, 3) + b"0;a=b\r\nX-Y: z\r\nA: b\r\n\r\n"),
                      ("with leading zeros", b"000%x\r\n%s\r\n0000\r\n\r\n" % (len(body), body))):
        with Line() as line:
            a = line.send(chunk_post(raw) + get()).answer()
            ok(is_sum(a, 7) and line.status() == 200, f"chunks {kind}", a)


def expectations():
    with Line() as line:
        line.send(post(INFER, b"", f"Content-Length: {len(json_body(2))}", "Expect: 100-continue", length=False))
        a = line.answer()
        ok(a and a[0] == 100, "100 Continue invites the body", a)
        a = line.send(json_body(2)).answer()
        ok(is_sum(a, 2), "which is then answered", a)
    with Line() as line:
        line.send(get() + post(INFER, b"", "Content-Length: 9", "Expect: 100-CONTINUE", length=False))
        a = [line.status(), line.status()]
        ok(a == [200, 100], "100 Continue waits for the answers before it", a)
    with Line() as line:
        a = line.send(post("/v2/models/nope/infer", b"", "Content-Length: 9", "Expect: 100-continue", length=False)).answer()
        ok(a and a[0] == 404 and line.is_cut(), "no 100 Continue for a body that nobody wants", a)
    with Line() as line:
        a = line.send(infer(1, "Expect: a-miracle")).answer()
        ok(a and a[0] == 417, "another expectation: 417", a)
    with Line() as line:
        data = infer(2, "Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
        a = line.send(data).answer()
        ok(is_sum(a, 2), "no 100 Continue to HTTP/1.0", a)


def methods():
    with Line() as line:
        line.send(get("/v2"))
        full = line.answer()
        line.send(get("/v2", method="HEAD"))
        a = line.answer(head_only=True)
        ok(a[0] == 200 and a[1]["content-length"] == full[1]["content-length"], "HEAD has GET's length", a)
        line.send(get("/nope", method="HEAD"))
        a = line.answer(head_only=True)
        line.send(get())
        ok(a[0] == 404 and line.status() == 200, "HEAD has no body for errors either", a)
        for path, method, allow in (("/v2", "POST", "GET, HEAD, OPTIONS"), ("/v2/health/live", "PUT", "GET, HEAD, OPTIONS"),
                                    ("/v2/models/simple", "DELETE", "GET, HEAD, OPTIONS"),
                                    ("/v2/models/simple/ready", "PATCH", "GET, HEAD, OPTIONS"),
                                    (INFER, "GET", "POST, OPTIONS"), (INFER, "TRACE", "POST, OPTIONS")):
            a = line.send(get(path, method=method)).answer()
            ok(a[0] == 405 and a[1].get("allow") == allow and error_of(a), f"{method} {path}: 405", a)
        for path, allow in (("*", "GET, HEAD, POST, OPTIONS"), ("/v2", "GET, HEAD, OPTIONS"),
                            ("/v2/models/simple?x", "GET, HEAD, OPTIONS"), (INFER, "POST, OPTIONS"),
                            ("/v2/health/ready", "GET, HEAD, OPTIONS")):
            a = line.send(get(path, method="OPTIONS")).answer()
            ok(a[0] == 204 and a[1].get("allow") == allow and "content-length" not in a[1] and
               not any(k.startswith("access-control") for k in a[1]), f"OPTIONS {path} tells the methods", a)
        for path in ("/nope", "/v2/models/nope", "/v2/models/nope/infer", "/v2/models/simple/nope"):
            a = line.send(get(path, method="OPTIONS")).answer()
            ok(a[0] == 404 and error_of(a), f"OPTIONS {path}: 404", a)
        a = line.send(infer(9)).answer()
        ok(is_sum(a, 9), "the connection outlives all these errors", a)
        a = line.send(get(method="BREW")).answer()
        ok(a[0] == 501 and line.is_cut(), "a method that nobody knows: 501", a)


def versions_and_closing():
    with Line() as line:
        a = line.send(get(version="HTTP/1.0")).answer()
        ok(a[0] == 200 and a[1].get("connection") == "close" and line.is_cut(), "HTTP/1.0 closes", a)
    with Line() as line:
        data = get("/v2/health/live", "Connection: keep-alive", version="HTTP/1.0")
        a = line.send(data).answer()
        ok(a[1].get("connection") == "keep-alive" and line.send(data).status() == 200, "HTTP/1.0 keep-alive", a)
    with Line() as line:
        a = line.send(infer(1, "Connection: close")).answer()
        ok(is_sum(a, 1) and a[1].get("connection") == "close" and line.is_cut(), "Connection: close", a)
    for field, closes in (("Connection: CLOSE", True), ("Connection: keep-alive, close", True), ("Connection:\tx ,close\t", True),
                          ("Connection: closed", False), ("Connection: keep-alive", False), ("Proxy-Connection: close", False),
                          ("X-Connection: close", False)):
        with Line() as line:
            a = line.send(get("/v2", field) + get()).answer()
            ok(a[0] == 200 and (a[1].get("connection") == "close") == closes and
               (line.is_cut() if closes else line.status() == 200), f"{field!r} {'closes' if closes else 'closes nothing'}", a)
    with Line() as line:
        a = line.send(get("/v2", "Connection: keep-alive", "Connection: close", version="HTTP/1.0")).answer()
        ok(a[1].get("connection") == "close" and line.is_cut(), "close wins", a)
    with Line() as line:
        line.send(infer(4))
        line.socket.shutdown(socket.SHUT_WR)
        a = line.answer()
        ok(is_sum(a, 4) and line.is_cut(), "a half-closed client is answered", a)
    for kind, data in (("head", infer()[:40]), ("body", infer()[:-5]), ("chunk", chunk_post(b"5\r\n{"))):
        with Line() as line:
            line.send(data)
            line.socket.shutdown(socket.SHUT_WR)
            ok(line.is_cut(), f"an end in the middle of a {kind} is no request", line.buffer)
    for cut in range(1, 400, 7):
        with Line() as line:
            line.send(binary_request()[:cut])
            line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    a = ask(infer(1))
    ok(is_sum(a, 1), "clients that vanish anywhere leave no trace", a)


def limits():
    with Line() as line:
        a = line.send(get("/" + "a" * 9000)).answer()
        ok(a and a[0] == 414 and line.is_cut(), "a request line of 9 KiB: 414", a)
    with Line() as line:
        a = line.send(b"G" * 9000).answer()
        ok(a and a[0] == 414 and line.is_cut(), "also before its end is there", a)
    with Line() as line:
        a = line.send(get("/v2?" + "a" * 8000)).answer()
        ok(a and a[0] == 200, "8,000 bytes of query pass", a)
        a = line.send(get("/v2", *[f"A{i}: b" for i in range(99)])).answer()
        ok(a and a[0] == 200, "100 header fields pass", a)
        a = line.send(get("/v2", "A: " + "b" * 16000)).answer()
        ok(a and a[0] == 200, "16,000 bytes of header pass", a)
        a = line.send(get("/v2", *[f"A{i}: b" for i in range(100)])).answer()
        ok(a and a[0] == 431 and line.is_cut(), "101 header fields: 431", a)
    with Line() as line:
        a = line.send(get("/v2", "A: " + "b" * 17000)).answer()
        ok(a and a[0] == 431 and line.is_cut(), "17 KB of header: 431", a)
    with Line() as line:
        a = line.send(post(INFER, b"{", "Content-Length: 1000000000000", length=False)).answer()
        ok(a and a[0] == 413 and error_of(a) and line.is_cut(), "a terabyte is announced: 413", a)
    with Line() as line:
        a = line.send(post("/v2/models/nope/infer", b"x" * 500000) + get()).answer()
        ok(a and a[0] == 404 and line.status() == 200, "a small unwanted body is passed over", a)
    with Line() as line:
        try:
            line.send(post("/v2/models/nope/infer", b"x" * 3000000))
        except OSError:
            pass
        a = line.answer()
        ok(a and a[0] == 404, "a client that sends a large unwanted body can still read why", a)


def error_bodies():
    with Line() as line:
        for kind, body in (("no JSON", b"{"), ("no inputs", b"{}"), ("empty", b""),
                           ("an array", b"[]"), ("wrong name", json_body().replace(b"INPUT1", b"INPUT9")),
                           ("wrong type", json_body().replace(b"INT32", b"FP32")),
                           ("wrong shape", json_body().replace(b"[1, 16]", b"[1, 15]"))):
            a = line.send(post(INFER, body)).answer()
            ok(a and a[0] == 400 and error_of(a) and a[1].get("x-devserve-generation"),
               f"{kind}: 400 with a sentence and the generation", a)
        for n in ("9999999", "-1"):
            a = line.send(infer(0, f"Inference-Header-Content-Length: {n}")).answer()
            ok(a and a[0] == 400 and error_of(a), f"Inference-Header-Content-Length: {n}: 400", a)
        a = line.send(infer(0, "Content-Encoding: br")).answer()
        ok(a and a[0] == 501, "an unknown Content-Encoding: 501", a)
        a = line.send(infer(0, "Content-Encoding: identity", "Content-Type: text/strange")).answer()
        ok(is_sum(a), "identity, and any Content-Type, pass", a)
        a = line.send(get(INFER, method="POST")).answer()
        ok(a and a[0] == 400 and line.send(get()).status() == 200, "no length is an empty body", a)


class Slow:
    """Requests that never come to their end; opened first, looked at last."""

    def __init__(self):
        self.started = time.monotonic()
        self.head = Line().send(get()[:20])
        self.body = Line().send(infer()[:-3])
        self.drip = Line().send(get()[:1])

    def check(self):
        a = self.body.answer()
        ok(a and a[0] == 408 and self.body.is_cut() and time.monotonic() - self.started >= 4.5,
           "a body that doesn't come for 5 s: 408", a)
        self.drip.send(get()[1:2])
        a = self.head.answer()
        ok(a and a[0] == 408 and self.head.is_cut() and time.monotonic() - self.started >= 9.5,
           "a head that isn't whole after 10 s: 408", a)
        a = self.drip.answer()
        ok(a and a[0] == 408, "a byte now and then doesn't help", a)


server = serve()
host, address = server.host, server.address
slow = Slow()
run(answers_and_headers, names_and_targets, split_anywhere, two_glued, pipelining, not_reading, chunks, expectations,
    methods, versions_and_closing, limits, error_bodies, slow.check)
