#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who may ask: names that we are called by, pages in somebody's browser, holders of the token.

A development server's own machine runs a browser that visits other people's pages. They must
reach nothing, by none of the ways that were tried on others: a name made to point at us (DNS
rebinding), requests that a page may send without asking, scripts and images it may embed.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent / "lib"))
import wire
from wire import *

server = serve()
host, port = server.host, server.address[1]
own = f"Origin: http://{host}"
TOKEN = f"Authorization: Bearer {server.token}" if server.process else None


def with_host(name, path="/v2", *fields, method="GET"):
    return "".join(f"{l}\r\n" for l in (f"{method} {path} HTTP/1.1", f"Host: {name}", *fields, "")).encode("latin-1")


def cors(answer):
    """What is said to pages of others, and that it depends on who asks."""
    return {k: v for k, v in answer[1].items() if k.startswith("access-control")} | \
        ({"vary": "Origin"} if "Origin" in answer[1].get("vary", "") else {})


def names():
    """A name that somebody else can make point at us isn't ours."""
    for name in ("localhost", f"localhost:{port}", "LOCALHOST:1", "localhost:", "a.localhost", "a.b.localhost:80", "127.0.0.1",
                 f"127.0.0.1:{port}", "127.1.2.3", "[::1]", f"[::1]:{port}", "[0:0:0:0:0:0:0:1]", "localhost:65535"):
        a = ask(with_host(name))
        ok(a and a[0] == 200, f"{name} is us", a)
    for name in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "evil-localhost", "localhost.", ".local",
                 "10.0.0.1", "192.168.1.1:8000", "[fe80::1]", "[::]", "[::ffff:10.0.0.1]", "127.0.0.1.nip.io", "127.1", "0x7f.1",
                 "2130706433", "0.0.0.0", "128.0.0.1", "loc\xe4lhost", "%6cocalhost", "xn--lcalhost-n2a", "[::1%25lo]"):
        for path in ("/v2/health/live", "/v2/models/simple", "/-/status", "/nope"):
            a = ask(with_host(name, path))
            ok(a and a[0] == 421 and error_of(a), f"{name} is not, {path}", a)


def origins():
    """Whatever changes something, and all else, is for our own pages and for who isn't a page."""
    same, cross = "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"
    for fields, status in (
            ((), 200), ((own, ), 200), ((same, own), 200), ((same, ), 200), (("Sec-Fetch-Site: none", ), 200),
            (("Origin: null", ), 403), (("Origin: ", ), 403), (("Origin: http://localhost:1", ), 403), (("Origin: http://localhost", ), 403),
            ((f"Origin: https://{host}", ), 403), ((f"Origin: {host}", ), 403), ((f"Origin: http://{host}/", ), 403),
            (("Origin: http://10.0.0.1", ), 403), (("Origin: http://[::1]:1", ), 403), (("Origin: https://evil.example", ), 403),
            ((f"Origin: http://{host}, https://evil.example", ), 403), ((f"Origin: http://{host}.evil.example", ), 403),
            (("Origin: file://", ), 403), (("Origin: chrome-extension://abc", ), 403),
            ((cross, ), 403), (("Sec-Fetch-Site: same-site", ), 403), (("Sec-Fetch-Site: nonsense", ), 403), (("Sec-Fetch-Site:", ), 403),
            ((cross, own), 403),
            ((cross, "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script"), 403),
            ((cross, "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"), 403),
            ((cross, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"), 403),
            ((cross, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"), 403),
            (("User-Agent: Mozilla/5.0", ), 200)):
        what = ", ".join(fields) or "nothing said"
        a = ask(infer(1, *fields))
        ok(a and a[0] == status and (status == 200 or error_of(a)), f"infer, {what}: {status}", a)
        a = ask(get("/v2/models/simple", *fields))
        ok(a and a[0] == status, f"metadata, {what}: {status}", a)
    for text in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        a = ask(infer(1, "Origin: https://evil.example", f"Content-Type: {text}"))
        ok(a and a[0] == 403, f"a form of another page, {text}: 403", a)


def no_cors():
    """Nobody else's page may read anything, as long as nobody allowed it."""
    for fields in ((), (own, ), ("Origin: https://evil.example", )):
        for data in (infer(1, *fields), get("/v2", *fields), get("/nope", *fields)):
            a = ask(data)
            ok(a and not cors(a), f"no CORS, {fields}", a)
    a = ask(get(INFER, "Origin: https://evil.example", "Access-Control-Request-Method: POST", method="OPTIONS"))
    ok(a and a[0] == 403 and not cors(a), "a preflight of another origin: 403", a)
    a = ask(get(INFER, own, "Access-Control-Request-Method: POST", method="OPTIONS"))
    ok(a and a[0] == 204 and not cors(a), "our own pages need none", a)


GUARDS = {"cross-origin-resource-policy": "same-origin", "x-content-type-options": "nosniff",
          "content-security-policy": "default-src 'self'; frame-ancestors 'none'", "referrer-policy": "no-referrer"}


def guards():
    """With every answer, also those that the gate gives."""
    for data, status in ((get(), 200), (infer(1), 200), (get("/v2", method="OPTIONS"), 204), (get("/v2", "A : b"), 400),
                         (post(INFER, b"{"), 400), (get("/-/status"), 401), (infer(1, "Origin: null"), 403), (get("/nope"), 404),
                         (get("/v2", method="POST"), 405), (post(INFER, b"", "Content-Length: 999999999999", length=False), 413),
                         (get("/" + "a" * 9000), 414), (infer(1, "Expect: x"), 417), (with_host("evil.example"), 421),
                         (get("/v2", "A: " + "b" * 20000), 431), (get("/v2", method="BREW"), 501), (get(version="HTTP/3.0"), 505)):
        a = ask(data)
        ok(a and a[0] == status and {k: a[1].get(k) for k in GUARDS} == GUARDS and a[1].get("date"),
           f"{status} is guarded and dated", a)


def control():
    """Everything below /-/ wants the token, whatever it is and whoever asks."""
    for path in ("/-/status", "/-/events", "/-/wait?deployment=simple", "/-/nope", "/-/", "/%2d/status",
                 "/-/stat%75s", "/-/status/x"):
        for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS"):
            a = ask(get(path, method=method)) if method != "HEAD" else Line().send(get(path, method=method)).answer(True)
            ok(a and a[0] == 401 and a[1].get("www-authenticate") == "Bearer", f"{method} {path}: 401", a)
    if not TOKEN:
        return
    for token in ("", "Bearer", "Bearer ", f"Bearer {server.token[:-1]}", f"Bearer {server.token}0", f"Bearer  {server.token}",
                  f"Basic {server.token}", server.token, f"Bearer {server.token.upper()}"):
        a = ask(get("/-/status", f"Authorization: {token}"))
        ok(a and a[0] == 401 and error_of(a), f"{token[:12]!r} is no token", a)
    a = ask(get("/-/status", TOKEN))
    ok(a and a[0] == 200 and json.loads(a[2])["pid"] == server.process.pid, "the token opens it", a)
    ok(ask(get("/%2D/st%61tus", TOKEN))[0] == 200, "also where its path is encoded")
    ok(ask(get("/-/nope", TOKEN))[0] == 404, "404 is for who has the token")
    a = ask(get("/-/status", TOKEN, method="POST"))
    ok(a[0] == 405 and a[1]["allow"] == "GET, HEAD, OPTIONS", "and so is 405", a)
    a = ask(get("/-/status", TOKEN, method="OPTIONS"))
    ok(a[0] == 204 and a[1]["allow"] == "GET, HEAD, OPTIONS", "and what OPTIONS tells", a)
    for fields in (("Origin: https://evil.example", ), ("Sec-Fetch-Site: cross-site", ),
                   ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")):
        a = ask(get("/-/status", TOKEN, *fields))
        ok(a and a[0] == 403, f"the token doesn't help a foreign page, {fields[-1]}", a)
    a = ask(with_host("evil.example", "/-/status", TOKEN))
    ok(a and a[0] == 421, "nor a foreign name", a)
    ok(server.token not in json.dumps([e for e in server.events]), "the token is told to nobody")


def allowed():
    """What was allowed by name when the server was started, exactly."""
    if not server.process:
        return
    wire.serve("--allow-origin", "http://localhost:3000,https://App.example", "--allow-host", "gpu1,gpu1.example.org")
    for name, status in (("gpu1", 200), ("gpu1:9", 200), ("GPU1.example.org", 200), ("gpu2", 421), ("x.gpu1", 421), ("localhost", 200)):
        a = ask(with_host(name))
        ok(a and a[0] == status, f"Host: {name}, allowed: {status}", a)
    page = "Origin: http://localhost:3000"
    for fields in ((page, ), (page, "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors"), ):
        a = ask(infer(1, *fields))
        ok(is_sum(a, 1) and cors(a) == {"vary": "Origin", "access-control-allow-origin": "http://localhost:3000",
           "access-control-expose-headers": "Inference-Header-Content-Length, Retry-After, X-Devserve-Generation, X-Devserve-Stale"},
           "an allowed page may ask and read", a)
    a = ask(infer(1, "Origin: https://app.example", "Sec-Fetch-Site: cross-site"))
    ok(is_sum(a, 1) and a[1]["access-control-allow-origin"] == "https://App.example", "and so may the other", a)
    a = ask(post(INFER, b"{", page))
    ok(a[0] == 400 and a[1].get("access-control-allow-origin") == "http://localhost:3000", "errors, too", a)
    a = ask(get("/nope", page))
    ok(a[0] == 404 and a[1].get("access-control-allow-origin") == "http://localhost:3000", "and what isn't there", a)
    a = ask(get(INFER, page, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type",
                method="OPTIONS"))
    ok(a[0] == 204 and not a[2] and a[1]["access-control-allow-methods"] == "POST, OPTIONS" and
       cors(a)["access-control-allow-origin"] == "http://localhost:3000" and cors(a)["vary"] == "Origin" and
       "content-type" in a[1]["access-control-allow-headers"].lower() and
       "inference-header-content-length" in a[1]["access-control-allow-headers"].lower() and
       "access-control-allow-credentials" not in a[1], "its preflight is answered", a)
    a = ask(get(INFER, page, "Access-Control-Request-Method: POST", "Content-Length: 3", method="OPTIONS") + b"abc")
    ok(a[0] == 204, "also with a body", a)
    for origin in ("http://localhost:3001", "https://localhost:3000", "http://localhost:3000/", "null", "http://evil.example"):
        a = ask(get(INFER, f"Origin: {origin}", "Access-Control-Request-Method: POST", method="OPTIONS"))
        ok(a[0] == 403 and cors(a) == {"vary": "Origin"}, f"{origin} isn't that: 403", a)
    a = ask(infer(1))
    ok(is_sum(a, 1) and cors(a) == {"vary": "Origin"}, "who isn't a page sees that answers vary", a)
    a = ask(get("/-/status", page))
    ok(a[0] == 401, "an allowed page needs the token like everybody", a)
    a = ask(get("/-/status", page, f"Authorization: Bearer {wire.here.token}"))
    ok(a[0] == 200, "and may use it", a)


def refused_lists():
    build = os.environ.get("DEVSERVE_BUILD", str(TREE / "build"))
    for option, value in (("--allow-origin", "*"), ("--allow-origin", "null"), ("--allow-origin", "localhost:3000"),
                          ("--allow-origin", "http://a/b"), ("--allow-host", "*"), ("--allow-host", "a:80")):
        r = subprocess.run([f"{build}/devserve", option, value, "--port", "0", "/nowhere"], capture_output=True, text=True)
        ok(r.returncode == 2 and option in r.stderr and f"'{value}'" in r.stderr, f"{option} {value}: a sentence, exit 2", r)


run(names, origins, no_cors, guards, control, allowed, refused_lists)
