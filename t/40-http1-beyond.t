#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Listening beyond loopback: the token for everything but health, and a word about TLS.

All of it happens in a network of its own that ends with this script, so that nobody else can
reach the servers. Where the system doesn't let us have one, nothing is tested.
"""

import errno
import fcntl
import os
import pathlib
import socket
import struct
import subprocess
import sys

ADDRESS = "10.98.76.54"
APART = ["unshare", "--user", "--map-root-user", "--net"]
SIOCSIFADDR, SIOCSIFFLAGS, IFF_UP = 0x8916, 0x8914, 1

if "DEVSERVE_APART" not in os.environ:
    if subprocess.run([*APART, "true"], capture_output=True).returncode:
        print("1..0 # SKIP no network of one's own here (unshare)")
        sys.exit()
    os.environ.pop("DEVSERVE_URL", None)
    os.execvpe("unshare", [*APART, sys.executable, __file__], {**os.environ, "DEVSERVE_APART": "1"})

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent / "lib"))
import wire
from wire import *


def set_up_network():
    """lo, and an address on it that isn't loopback's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
        fcntl.ioctl(s, SIOCSIFADDR, struct.pack("16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton(ADDRESS)))


def with_host(name, path, *fields, method="GET"):
    return "".join(f"{l}\r\n" for l in (f"{method} {path} HTTP/1.1", f"Host: {name}", *fields, "")).encode()


def advice():
    return [e["reason"] for e in wire.here.events if e["event"] == "notice" and "TLS" in e.get("reason", "")]


def an_address():
    server = wire.serve("--host", ADDRESS, "--allow-origin", "http://page.example")
    token = f"Authorization: Bearer {server.token}"
    ok(server.host.startswith(ADDRESS), "it listens where it was told", server.url)
    ok(len(advice()) == 1 and "run.json" in advice()[0] and server.token not in advice()[0],
       "one line says that there is no TLS, and where the token is", server.events)
    for path in ("/v2/health/live", "/v2/health/ready"):
        ok(ask(get(path))[0] == 200, f"{path} needs no token")
        ok(ask(get(path, "Authorization: Bearer nonsense"))[0] == 200, f"nor does a wrong one matter to {path}")
    for data in (get("/v2"), get("/v2/models/simple"), get("/v2/models/simple/ready"), get("/v2/models/nope"), infer(1), get("/nope"),
                 get("/-/status"), get("/v2", method="OPTIONS"), get("*", method="OPTIONS"), get("/v2", method="DELETE"),
                 get("/v2/health/livex"), get("/v2/health"), post("/v2/models/simple/infer", b"x" * 100000)):
        a = ask(data)
        ok(a and a[0] == 401 and a[1]["www-authenticate"] == "Bearer" and error_of(a) and "allow" not in a[1] and
           "x-devserve-generation" not in a[1], f"{data.split(b' HTTP')[0].decode()} tells nothing without it", a)
    for wrong in ("Bearer 0", f"Bearer {server.token}0", f"Basic {server.token}", server.token):
        ok(ask(infer(1, f"Authorization: {wrong}"))[0] == 401, f"{wrong[:9]} … is no token")
    ok(is_sum(ask(infer(1, token)), 1), "with it, all is as ever")
    ok(ask(get("/-/status", token))[0] == 200, "control, too")
    ok(ask(get("/nope", token))[0] == 404, "and what isn't there isn't there")
    for name, status in ((ADDRESS, 200), (f"{ADDRESS}:1", 200), ("localhost", 200), ("10.98.76.55", 421), ("gpu1", 421),
                         ("evil.example", 421)):
        a = ask(with_host(name, "/v2", token))
        ok(a and a[0] == status, f"Host: {name}: {status}", a)
    a = ask(infer(1, token, "Origin: http://evil.example"))
    ok(a[0] == 403, "a foreign page is refused before its token is looked at", a)
    page = "Origin: http://page.example"
    a = ask(get("/v2", page, "Access-Control-Request-Method: GET", method="OPTIONS"))
    ok(a[0] == 204 and a[1]["access-control-allow-origin"] == "http://page.example", "an allowed page's preflight needs none", a)
    told = [ask(get(path, page, "Access-Control-Request-Method: POST", method="OPTIONS"))
            for path in (INFER, "/v2/models/nope/infer", "/v2/models/simple/versions/2", "/-/status", "/nope")]
    for a in told:
        a[1].pop("date")
    ok(told[0][0] == 204 and all(a == told[0] for a in told) and "x-devserve-generation" not in told[0][1],
       "nor does it tell what there is", told)
    ok(ask(infer(1, page))[0] == 401 and is_sum(ask(infer(1, page, token)), 1), "but its request does")
    with Line() as line:
        line.send(infer(1) + infer(2, token) + infer(3))
        a = [line.status(), line.answer(), line.status()]
        ok(a[0] == 401 and is_sum(a[1], 2) and a[2] == 401, "it is asked for with each request of a connection", a)


def every_address():
    """Who listens everywhere can be reached by others, whoever asks."""
    server = wire.serve("--host", "0.0.0.0")
    token = f"Authorization: Bearer {server.token}"
    ok(len(advice()) == 1, "it is told, too", server.events)
    for address in ("127.0.0.1", ADDRESS):
        for fields, status in (((), 401), ((token, ), 200)):
            with Line((address, server.address[1])) as line:
                a = line.send(with_host(f"{address}:{server.address[1]}", "/v2", *fields)).answer()
                ok(a and a[0] == status, f"by way of {address}, {'with' if fields else 'without'} it: {status}", a)
    for name, status in (("10.0.0.7", 200), ("[fe80::1]:1", 200), ("gpu1", 421)):
        a = ask(with_host(name, "/v2", token))
        ok(a and a[0] == status, f"Host: {name}: {status}", a)


def nobody_else():
    server = wire.serve()
    for address in ("127.0.0.1", "::1"):
        with Line((address, server.address[1])) as line:
            ok(line.send(get()).status() == 200, f"unless it is told otherwise, it listens on {address}")
    with socket.socket() as s:
        ok(s.connect_ex((ADDRESS, server.address[1])) == errno.ECONNREFUSED, "and nowhere else")


def loopback():
    for where in ("127.0.0.1", "127.1.2.3", "::1", "localhost"):
        wire.serve("--host", where)
        ok(not advice() and ask(get("/v2"))[0] == 200, f"--host {where} is loopback: no token, no advice", wire.here.events)


def nowhere():
    build = os.environ.get("DEVSERVE_BUILD", str(TREE / "build"))
    for where, status in (("192.0.2.1", 1), ("no.such.host.example", 1), ("10.98.76.54:80", 1), ("*", 1), ("", 2)):
        with tempfile.TemporaryDirectory(prefix="devserve-http1-") as root:
            r = subprocess.run([f"{build}/devserve", "--host", where, "--port", "0", root],
                               capture_output=True, text=True, timeout=PATIENCE)
        ok(r.returncode == status and "--host" in r.stderr, f"--host {where!r}: a sentence, exit {status}", r)


set_up_network()
run(an_address, every_address, nobody_else, loopback, nowhere)
