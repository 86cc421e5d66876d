# SPDX-License-Identifier: MIT
"""HTTP as bytes on a socket, for clients that misbehave; and one that doesn't, beside them."""

import json
import os
import pathlib
import resource
import select
import socket
import threading
import time
import urllib.parse

from devserve import PATIENCE, X, Client


def address(url):
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port


def head(url, method="GET", path="/v2/health/live", *fields):
    lines = f"{method} {path} HTTP/1.1", f"Host: {urllib.parse.urlsplit(url).netloc}", *fields, "", ""
    return "\r\n".join(lines).encode()


def post(url, path, body, *fields):
    return head(url, "POST", path, f"Content-Length: {len(body)}", *fields) + body


def infer(url, name, request=X, *fields):
    return post(url, f"/v2/models/{name}/infer", json.dumps(request).encode(), *fields)


class Wire:
    """One connection; `buffer` is what came and isn't understood yet."""

    def __init__(self, url, receive_buffer=None):
        self.url, self.buffer = url, bytearray()
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address(url))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Gone without a word: what is under way is lost."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def try_send(self, data):
        """What the kernel takes of it now; 0: nothing, -1: nobody is there any more."""
        if not select.select([], [self.socket], [], 0)[1]:
            return 0
        try:
            return self.socket.send(data)
        except OSError:
            return -1

    def more(self):
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            data = b""
        self.buffer += data
        return bool(data)

    def answer(self):
        """(status, {name: value}, body); None: the line was cut before a whole one came."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                return None
        end = self.buffer.index(b"\r\n\r\n")
        first, *lines = self.buffer[:end].decode("latin-1").split("\r\n")
        del self.buffer[:end + 4]
        headers = {k.lower(): v.strip() for k, v in (l.split(":", 1) for l in lines)}
        status = int(first.split()[1])
        size = 0 if status < 200 else int(headers.get("content-length", 0))
        while len(self.buffer) < size:
            if not self.more():
                return None
        body = bytes(self.buffer[:size])
        del self.buffer[:size]
        return status, headers, body

    def ask(self, data):
        return self.send(data).answer()

    def has_news(self, timeout=0):
        """Bytes have come, or the end."""
        return bool(select.select([self.socket], [], [], timeout)[0])

    def is_cut(self):
        """Nothing more comes, and the server has closed its side."""
        while not self.buffer:
            if not self.more():
                return True
        return False

    def is_dropped(self, timeout_ms=PATIENCE * 1000):
        """The server has reset the connection; without reading, for its client doesn't."""
        poll = select.poll()
        poll.register(self.socket, 0)
        return bool(poll.poll(timeout_ms))


def sentence(answer):
    return json.loads(answer[2])["error"]


def turn(beside):
    """Returns when the server's loop has been around."""
    assert beside.ask(head(beside.url))[0] == 200


class Footprint:
    """What a process holds now: bytes of its own, bytes of shared memory, sockets."""

    def __init__(self, server):
        pid = server.process.pid
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        sizes = {k: v for k, v in (l.split(":", 1) for l in lines) if k.startswith("Rss")}
        self.own, self.shared = (int(sizes[k].split()[0]) * 1024 for k in ("RssAnon", "RssShmem"))
        if os.environ.get("DEVSERVE_SANITIZE"):
            self.own = 0  # a sanitizer keeps what is freed for a while
        links = []
        for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            try:
                links.append(os.readlink(fd))
            except FileNotFoundError:
                pass
        self.sockets = sum(link.startswith("socket:") for link in links)

    def __repr__(self):
        return f"<{self.own >> 10} KiB own, {self.shared >> 10} KiB shared, {self.sockets} sockets>"


def until(happens, beside):
    """Until `happens()`, looked at between turns of the server's loop."""
    deadline = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < deadline, "it didn't happen"
        turn(beside)


class Bystander(threading.Thread):
    """A client as it should be, asking one thing after another on one connection until it is
    told to end. `worst` is the longest that it waited for an answer, `wrong` what it got."""

    def __init__(self, server, name="y", value=None):
        super().__init__(daemon=True)
        self.url, self.name_, self.value = server.url, name, value
        self.worst, self.n, self.wrong = 0.0, 0, []
        self.ending = threading.Event()

    def run(self):
        client = Client(self.url)
        while not self.ending.is_set():
            start = time.monotonic()
            try:
                answer = client.infer(self.name_)
                good = answer.status == 200 and self.value in (None, answer.value)
            except OSError as e:
                answer, good = e, False
                client = Client(self.url)
            self.worst = max(self.worst, time.monotonic() - start)
            self.n += 1
            if not good:
                self.wrong.append(answer)
        client.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.ending.set()
        self.join(PATIENCE)


def allow_descriptors(n):
    """Whether this process may have that many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < n <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (n, hard))
    return n <= hard
