# SPDX-License-Identifier: MIT
"""HTTP/1.1 as bytes on a socket, for the tests t/40-http1*.t. Standard library only.

Asks the server at DEVSERVE_URL, else one of its own. Nothing waits for time: to be sure that
the server has seen the first half of something before the second is sent, a test asks it
something on another connection (`turn`): the server has one loop, so the answer says that
the loop has been around.
"""

import atexit
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse

TREE = pathlib.Path(__file__).absolute().parents[2]
PATIENCE = 60 if os.environ.get("DEVSERVE_SANITIZE") else 20
count = failed = 0
here = None  # the Server


def ok(good, sentence, seen=None):
    global count, failed
    count += 1
    sentence = sentence.replace("#", "\\#")
    print(f"{'ok' if good else 'not ok'} {count} - {sentence}", flush=True)
    if not good:
        failed += 1
        print(f"# {sentence}: saw {str(seen)[:600]!r}", file=sys.stderr)


class Server:
    """`url`, `host` as in a Host header, `address` as for connect(); `process` where it is ours."""

    def __init__(self, *args):
        self.root = self.process = None
        self.events = []  # until it was ready
        self.url = os.environ.get("DEVSERVE_URL") if not args else None
        if not self.url:
            self.start(args)
        parts = urllib.parse.urlsplit(self.url)
        self.host, self.address = parts.netloc, (parts.hostname, parts.port)

    def start(self, args):
        build = os.environ.get("DEVSERVE_BUILD", str(TREE / "build"))
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="devserve-http1-"))
        atexit.register(shutil.rmtree, self.root, True)
        shutil.copytree(TREE / "plugins" / "simple", self.root / "simple",
                        ignore=shutil.ignore_patterns(".devserve"))
        self.process = subprocess.Popen(
            [f"{build}/devserve", str(self.root), "--port", "0", "--json", *args],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        atexit.register(self.stop)
        for line in self.process.stdout:
            self.events.append(json.loads(line))
            if self.events[-1]["event"] == "server.ready":
                self.url = self.events[-1]["url"]
                return
        sys.exit("1..0 # the server ended before it was ready")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()

    @property
    def token(self):
        return json.loads((self.root / ".devserve/run.json").read_text())["token"]

    def lives(self):
        return self.process is None or self.process.poll() is None


def serve(*args):
    """Start what the functions below ask from now on, and wait until `simple` serves. Ends the one before."""
    global here, beside
    if here and here.process:
        here.stop()
    here = Server(*args)
    beside = Line()
    deadline = time.monotonic() + PATIENCE
    token = (f"Authorization: Bearer {here.token}",) if here.process else ()
    while ask(get("/v2/models/simple/ready", *token))[0] != 200:
        if time.monotonic() > deadline:
            sys.exit("not ok 1 - simple is ready\n1..1")
        time.sleep(0.02)
    return here


def run(*tests):
    """All tests, and that the server has survived them; ends the script."""
    for test in tests:
        print(f"# {test.__name__}")
        test()
        ok(here.lives(), "the server lives")
    print(f"1..{count}")
    sys.exit(failed > 0)


class Line:
    """One connection; reads answers one by one."""

    def __init__(self, address=None):
        self.socket = socket.create_connection(address or here.address, PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)
        return self

    def more(self):
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        self.buffer += data
        return bool(data)

    def answer(self, head_only=False):
        """(status, {name: value}, body); None: the line was cut before a whole one came."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                return None
        head, rest = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for name, value in (l.split(":", 1) for l in lines):
            name = name.lower()  # several are a list
            headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
        status = int(first.split()[1])
        size = 0 if head_only or status == 100 else int(headers.get("content-length", 0))
        self.buffer = rest
        while len(self.buffer) < size:
            if not self.more():
                return None
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return status, headers, body

    def status(self):
        a = self.answer()
        return a and a[0]

    def is_cut(self):
        """Nothing more comes, and the server has closed its side."""
        while not self.buffer:
            if not self.more():
                return True
        return False


def get(path="/v2/health/live", *fields, method="GET", version="HTTP/1.1"):
    return "".join(f"{l}\r\n" for l in (f"{method} {path} {version}", f"Host: {here.host}", *fields, "")).encode()


def post(path, body, *fields, length=True):
    if length:
        fields = (f"Content-Length: {len(body)}", *fields)
    return get(path, *fields, method="POST") + body


def ask(data):
    with Line() as line:
        return line.send(data).answer()


def turn():
    """Returns when the server's loop has been around."""
    beside.send(get()).answer()


INFER = "/v2/models/simple/infer"


def tensors(a, b, **more):
    return [{"name": n, "datatype": "INT32", "shape": [1, 16], **x}
            for n, x in (("INPUT0", a), ("INPUT1", b))]


def json_body(k=0, **more):
    data = list(range(k, k + 16))
    return json.dumps({"inputs": tensors({"data": data}, {"data": [1] * 16}), **more}).encode()


def infer(k=0, *fields):
    return post(INFER, json_body(k), "Content-Type: application/json", *fields)


def is_sum(answer, k=0):
    """The right answer to infer(k)."""
    if not answer or answer[0] != 200:
        return False
    outputs = {o["name"]: o["data"] for o in json.loads(answer[2])["outputs"]}
    return outputs == {"OUTPUT0": [k + i + 1 for i in range(16)],
                       "OUTPUT1": [k + i - 1 for i in range(16)]}


def binary_request(k=0):
    head = json.dumps({"inputs": tensors({"parameters": {"binary_data_size": 64}},
                                         {"parameters": {"binary_data_size": 64}}),
                       "parameters": {"binary_data_output": True}}).encode()
    raw = struct.pack("<32i", *range(k, k + 16), *[1] * 16)
    return post(INFER, head + raw, f"Inference-Header-Content-Length: {len(head)}",
                "Content-Type: application/octet-stream")


def is_binary_sum(answer, k=0):
    if not answer or answer[0] != 200:
        return False
    size = int(answer[1]["inference-header-content-length"])
    numbers = struct.unpack("<32i", answer[2][size:])
    return (answer[1]["content-type"] == "application/octet-stream" and
            [o["parameters"]["binary_data_size"] for o in json.loads(answer[2][:size])["outputs"]] == [64, 64] and
            numbers == (*range(k + 1, k + 17), *range(k - 1, k + 15)))


def error_of(answer):
    """The sentence of a well-formed error answer, else None."""
    try:
        assert answer[1]["content-type"] == "application/json"
        return json.loads(answer[2])["error"]
    except (TypeError, KeyError, ValueError, AssertionError):
        return None


def chunked(body, *sizes):
    out = b""
    for n in sizes:
        out += b"%x\r\n%s\r\n" % (n, body[:n])
        body = body[n:]
    if body:
        out += b"%X;note=\"x y\"\r\n%s\r\n" % (len(body), body)
    return out


def chunk_post(raw):
    return post(INFER, b"", "Transfer-Encoding: chunked", length=False) + raw
