#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rules of RFC 9110 and 9112, one by one: what is refused, what only looks strange.

What is refused for its framing ends the connection, for nobody can tell where the next request
begins: each such case is sent alone, behind a good request, and byte by byte, always with a
good one behind it, which must not be answered. What is accepted, or refused for what it asks,
leaves the connection whole: the request behind it must be answered as if it came alone.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent / "lib"))
import wire
from wire import *

server = serve()
host = server.host
HOST = f"Host: {host}\r\n"
PLAIN = "GET /v2 HTTP/1.1\r\n" + HOST
POST = f"POST {INFER} HTTP/1.1\r\n" + HOST
CHUNKED = POST + "Transfer-Encoding: chunked\r\n\r\n"


def raw(data):
    return data.encode("latin-1") if isinstance(data, str) else data


def is_refusal(answer, status):
    return bool(answer) and answer[0] == status and bool(error_of(answer)) and \
        answer[1].get("connection") == "close" and "date" in answer[1]


def refused(status, cases):
    """Answered with `status` and a sentence; then the connection is closed."""
    for sentence, data in cases.items():
        data, seen = raw(data), []
        with Line() as line:
            a = line.send(data + get()).answer()
            seen.append(("alone", is_refusal(a, status) and line.is_cut(), a))
        with Line() as line:
            first = line.send(get() + data + get()).status()
            a = line.answer()
            seen.append(("behind another", first == 200 and is_refusal(a, status) and line.is_cut(), a))
        if len(data) < 4096:
            with Line() as line:
                a = drip(line, data)
                seen.append(("byte by byte", is_refusal(a, status) and line.is_cut(), a))
        ok(all(good for _, good, _ in seen), f"{sentence}: {status} and closed", [s for s in seen if not s[1]])


def drip(line, data):
    """The answer to what is sent byte by byte; it may come before the last of them."""
    try:
        for byte in data:
            line.send(bytes([byte]))
    except OSError:
        pass
    return line.answer()


def answered(status, cases, head_only=False):
    """Answered with `status`, and so is the request behind it."""
    for sentence, data in cases.items():
        with Line() as line:
            a = line.send(raw(data) + get()).answer(head_only)
            good = a and a[0] == status and "date" in a[1] and (status < 400 or head_only or error_of(a))
            ok(good and line.status() == 200, f"{sentence}: {status}", a)


def request_line():
    end = f"\r\n{HOST}\r\n"
    refused(400, {
        "a bare line feed ends no request line": f"GET /v2 HTTP/1.1\n{HOST}\r\n",
        "a bare carriage return ends none either": f"GET /v2 HTTP/1.1\r{HOST}\r\n",
        "one space is between method and target, not two": f"GET  /v2 HTTP/1.1{end}",
        "one space is between target and version, not two": f"GET /v2  HTTP/1.1{end}",
        "a tab is no space": f"GET\t/v2 HTTP/1.1{end}",
        "a tab is no space before the version": f"GET /v2\tHTTP/1.1{end}",
        "a vertical tab is no space": f"GET /v2\x0bHTTP/1.1{end}",
        "white space does not lead": f" GET /v2 HTTP/1.1{end}",
        "nothing follows the version": f"GET /v2 HTTP/1.1 {end}",
        "a line of white space is no empty line": f"   \r\nGET /v2 HTTP/1.1{end}",
        "the target is there": f"GET HTTP/1.1{end}",
        "the target is not empty": f"GET  HTTP/1.1{end}",
        "HTTP/0.9 is not spoken": "GET /v2\r\n",
        "a method is a token": f"G(T /v2 HTTP/1.1{end}",
        "a method is ASCII": f"G\xcbT /v2 HTTP/1.1{end}",
        "two empty lines before a request are enough": f"\r\n\r\n\r\nGET /v2 HTTP/1.1{end}",
        "an empty line ends in CR LF too": f"\nGET /v2 HTTP/1.1{end}",
        "what is binary is no request": b"\x00\x01\x02\xff\xfe",
        "what speaks TLS is told at once": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    })
    answered(200, {
        "an empty line before a request is passed over": f"\r\nGET /v2 HTTP/1.1{end}",
        "two are": f"\r\n\r\nGET /v2 HTTP/1.1{end}",
    })


def version():
    for text in ("HTTP/1", "HTTP/1.", "HTTP/1.10", "HTTP/01.1", "HTTP/1.01", "HTTP/11", "HTTP/ 1.1", "HTTP /1.1",
                 "http/1.1", "Http/1.1", "HTTP/1,1", "HTTP/a.b", "HTTPS/1.1", "HTTP-1.1", "HTTP/+1.1"):
        refused(400, {f"{text} is no version": f"GET /v2 {text}\r\n{HOST}\r\n"})
    for text in ("HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/3.0", "HTTP/9.9"):
        refused(505, {f"{text} is not spoken": f"GET /v2 {text}\r\n{HOST}\r\n"})
    refused(505, {"HTTP/2 without TLS is not spoken yet": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"})


def methods():
    refused(501, {
        "a method that nobody knows": f"BREW /v2 HTTP/1.1\r\n{HOST}\r\n",
        "methods have upper-case letters": f"get /v2 HTTP/1.1\r\n{HOST}\r\n",
        "CONNECT is for proxies": f"CONNECT {host} HTTP/1.1\r\n{HOST}\r\n",
        "CONNECT to a path": f"CONNECT /v2 HTTP/1.1\r\n{HOST}\r\n",
    })
    answered(405, {
        "TRACE echoes nothing": f"TRACE /v2 HTTP/1.1\r\n{HOST}\r\n",
        "TRACE with a body neither": f"TRACE /v2 HTTP/1.1\r\n{HOST}Content-Length: 5\r\n\r\nhello",
        "DELETE with a body": f"DELETE /v2 HTTP/1.1\r\n{HOST}Content-Length: 5\r\n\r\nhello",
        "PUT with chunks": f"PUT /v2 HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    })
    answered(200, {
        "GET may have a body, which is passed over": f"{PLAIN}Content-Length: 5\r\n\r\nhello",
        "a body that looks like a request is none": f"{PLAIN}Content-Length: {len(get('/nope'))}\r\n\r\n".encode() + get("/nope"),
        "GET may have chunks": f"{PLAIN}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    })
    answered(200, {
        "HEAD may have a body, which is passed over":
            f"HEAD /v2 HTTP/1.1\r\n{HOST}Content-Length: {len(get('/nope'))}\r\n\r\n".encode() + get("/nope"),
    }, head_only=True)


def head_has_no_body():
    """Also where it is refused: what came behind the head would be the next answer."""
    for sentence, data, status in (
            ("where it is answered", get("/v2", method="HEAD"), 200),
            ("of what isn't there", get("/nope", method="HEAD"), 404),
            ("of what only takes POST", get(INFER, method="HEAD"), 405),
            ("of a foreign Host", b"HEAD /v2 HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
            ("without a Host", b"HEAD /v2 HTTP/1.1\r\n\r\n", 400),
            ("with a header that is malformed", raw(f"HEAD /v2 HTTP/1.1\r\n{HOST}A : b\r\n\r\n"), 400),
            ("with a target that is malformed", raw(f"HEAD v2 HTTP/1.1\r\n{HOST}\r\n"), 400),
            ("with too large a head", get("/v2", "A: " + "b" * 20000, method="HEAD"), 431),
            ("with too long a target", get("/" + "a" * 9000, method="HEAD"), 414),
            ("with too large a body", get("/v2", "Content-Length: 1000000000000", method="HEAD"), 413),
            ("in HTTP/2.0", get("/v2", method="HEAD", version="HTTP/2.0"), 505)):
        with Line() as line:
            line.send(data).socket.shutdown(socket.SHUT_WR)
            a = line.answer(head_only=True)
            ok(a and a[0] == status and int(a[1]["content-length"]) > 0 and "date" in a[1] and line.is_cut(),
               f"HEAD {sentence}: {status} without a body", (a, line.buffer))


def field_lines():
    refused(400, {
        "no space before the colon": f"{PLAIN}A : b\r\n\r\n",
        "no tab before the colon": f"{PLAIN}A\t: b\r\n\r\n",
        "nor before that of a length": f"{POST}Content-Length : 2\r\n\r\n{{}}",
        "nor before that of an encoding": f"{POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "lines are not folded": f"{PLAIN}A: b\r\n c\r\n\r\n",
        "nor with a tab": f"{PLAIN}A: b\r\n\tc\r\n\r\n",
        "nor is an encoding": f"{POST}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "nor is that of OPTIONS": f"OPTIONS /v2 HTTP/1.1\r\n{HOST}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "nothing stands before the first field": f"GET /v2 HTTP/1.1\r\n {HOST}\r\n",
        "a bare line feed ends no field": f"{PLAIN}A: b\n\r\n",
        "nor the head": f"{PLAIN}A: b\r\n\n",
        "a bare carriage return ends no field": f"{PLAIN}A: b\rC: d\r\n\r\n",
        "two carriage returns are one too many": f"{PLAIN}A: b\r\r\n\r\n",
        "a field has a colon": f"{PLAIN}nonsense\r\n\r\n",
        "a field has a name": f"{PLAIN}: b\r\n\r\n",
        "a name has no brackets": f"{PLAIN}A[]: b\r\n\r\n",
        "a name has no space": f"{PLAIN}A B: c\r\n\r\n",
        "a name has no tab": f"{PLAIN}A\tB: c\r\n\r\n",
        "a name is ASCII": f"{PLAIN}\xc9: b\r\n\r\n",
        "a name has no NUL": f"{PLAIN}A\0: b\r\n\r\n",
        "a value has no NUL": f"{PLAIN}A: b\0c\r\n\r\n",
        "a cookie has none either": f"{PLAIN}Cookie: a=\0b\r\n\r\n",
        "a value has no vertical tab": f"{PLAIN}A: b\x0bc\r\n\r\n",
        "a value has no form feed": f"{PLAIN}A: b\x0cc\r\n\r\n",
        "a value has no escape": f"{PLAIN}A: \x1b[2J\r\n\r\n",
        "a value has no DEL": f"{PLAIN}A: \x7f\r\n\r\n",
    })
    for name, value in (("Origin", f"http://{host}"), ("Authorization", "Bearer x"), ("Expect", "100-continue"),
                        ("Content-Encoding", "identity"), ("Inference-Header-Content-Length", "2"),
                        ("Sec-Fetch-Site", "none"), ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")):
        refused(400, {f"{name} is not there twice": f"{PLAIN}{name}: {value}\r\n{name.lower()}: {value}\r\n\r\n"})
    answered(200, {
        "a value may be empty": f"{PLAIN}A:\r\n\r\n",
        "the space behind the colon may be missing": f"{PLAIN}A:b\r\n\r\n",
        "tabs are white space": f"{PLAIN}A:\t b\tc \t\r\n\r\n",
        "a value may have bytes beyond ASCII": f"{PLAIN}A: \xe9\xff\r\n\r\n",
        "names may have any token's characters": f"{PLAIN}!#$%&'*+-.^_`|~09aZ: b\r\n\r\n",
        "names of fields have no case": f"GET /v2 HTTP/1.1\r\nhOsT: {host}\r\n\r\n",
        "fields may come twice where nobody here looks": f"{PLAIN}Accept: a\r\nAccept: b\r\nCookie: c\r\nCookie: d\r\n\r\n",
        "a field may be called host_": f"{PLAIN}Host_: evil.example\r\n\r\n",
        "a strange cookie is nobody's business": f"{PLAIN}Cookie: =;;a;=b\"\\;\r\n\r\n",
    })


def host_header():
    for value in ("", " ", ",", f"{host}, {host}", f"{host},evil.example", f"user@{host}", f"user:pw@{host}",
                  f"{host}/", f"{host}/path", f"{host}?", f"{host}#", f"http://{host}", "localhost:x", "localhost:-1",
                  "localhost:65536", "localhost:123456", "localhost:80:80", ":80", "[::1", "::1", "[::1]x", "[]",
                  "local host", "local\thost", "local\\host"):
        answered(400, {f"{value!r} is no Host": f"GET /v2 HTTP/1.1\r\nHost: {value}\r\n\r\n"})
    refused(400, {
        "a Host is there": "GET /v2 HTTP/1.1\r\n\r\n",
        "one is": f"{PLAIN}Host: evil.example\r\n\r\n",
        "also where both are equal": f"{PLAIN}{HOST}\r\n",
        "also where the first is empty": f"GET /v2 HTTP/1.1\r\nHost:\r\n{HOST}\r\n",
        "also in HTTP/1.0": f"GET /v2 HTTP/1.0\r\n{HOST}{HOST}\r\n",
    })
    with Line() as line:
        a = line.send(b"GET /v2 HTTP/1.0\r\n\r\n").answer()
        ok(a and a[0] == 200 and line.is_cut(), "HTTP/1.0 may leave it out", a)


def targets():
    refused(400, {
        "a target has no fragment": f"GET /v2#x HTTP/1.1\r\n{HOST}\r\n",
        "a target has no space": f"GET /v2 /v2 HTTP/1.1\r\n{HOST}\r\n",
        "a target has no NUL": f"GET /v2\0 HTTP/1.1\r\n{HOST}\r\n",
        "a target has no control bytes": f"GET /v2\x01 HTTP/1.1\r\n{HOST}\r\n",
        "a target is ASCII": f"GET /v2/\xc3\xa9 HTTP/1.1\r\n{HOST}\r\n",
        "a target begins with a slash": f"GET v2 HTTP/1.1\r\n{HOST}\r\n",
        "a query alone is none": f"GET ?a=b HTTP/1.1\r\n{HOST}\r\n",
        "nor is a name and a port": f"GET {host} HTTP/1.1\r\n{HOST}\r\n",
        "nor an asterisk with something behind it": f"OPTIONS *x HTTP/1.1\r\n{HOST}\r\n",
        "an absolute one names a host": f"GET http:///v2 HTTP/1.1\r\n{HOST}\r\n",
        "an absolute one is of http": f"GET https://{host}/v2 HTTP/1.1\r\n{HOST}\r\n",
        "and of nothing else": f"GET file:///etc/passwd HTTP/1.1\r\n{HOST}\r\n",
    })
    answered(400, {
        "only OPTIONS has an asterisk": f"GET * HTTP/1.1\r\n{HOST}\r\n",
        "an absolute one names our Host": f"GET http://evil.example/v2 HTTP/1.1\r\n{HOST}\r\n",
        "whole": f"GET http://{host}@evil.example/v2 HTTP/1.1\r\n{HOST}\r\n",
        "and nobody before it": f"GET http://user@{host}/v2 HTTP/1.1\r\n{HOST}\r\n",
    })
    answered(421, {"not a foreign one twice": "GET http://evil.example/v2 HTTP/1.1\r\nHost: evil.example\r\n\r\n"})
    answered(200, {
        "the absolute form": f"GET http://{host}/v2 HTTP/1.1\r\n{HOST}\r\n",
        "whatever its case": f"GET HTTP://{host.upper()}/v2 HTTP/1.1\r\n{HOST}\r\n",
        "with a query": f"GET http://{host}/v2?a=b HTTP/1.1\r\n{HOST}\r\n",
    })


def content_length():
    for value in ("", "-1", "-0", "+2", "0x2", "0o2", "2_0", "1e1", "2.0", "2 2", "2\t2", "2,2", "2, 2, 2", "2,3", ",2", "2,",
                  "two", "00", "02", "0200", "\"2\"", "18446744073709551615", "18446744073709551616",
                  "99999999999999999999999999", "\x0b2", "2\x0c", "\xb2"):
        refused(400, {f"{value!r} is no length": f"{POST}Content-Length: {value}\r\n\r\n{{}}"})
    refused(400, {
        "a length is not there twice": f"{POST}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}x",
        "also where both are equal": f"{POST}Content-Length: 2\r\ncontent-length: 2\r\n\r\n{{}}",
        "also of GET": f"{PLAIN}Content-Length: 0\r\nContent-Length: {len(get())}\r\n\r\n",
    })
    body = json_body(3).decode()
    for sentence, field in (("tabs and spaces around a length are white space", f"Content-Length: \t {len(body)} "),
                            ("a length needs no space before it", f"Content-Length:{len(body)}")):
        with Line() as line:
            a = line.send(raw(f"{POST}{field}\r\n\r\n{body}") + get()).answer()
            ok(is_sum(a, 3) and line.status() == 200, sentence, a)
    answered(400, {"Content_Length is no length": f"{POST}Content_Length: 999\r\n\r\n",
                   "a body may be empty": f"{POST}Content-Length: 0\r\n\r\n",
                   "no length is no body": f"{POST}\r\n"})
    refused(413, {"a body beyond the limit is not waited for": f"{POST}Content-Length: 999999999999\r\n\r\n"})


def transfer_encoding():
    end = "\r\n\r\n0\r\n\r\n"
    for value in ("", "gzip", "identity", "xchunked", "chunkedx", "chunked, gzip", "gzip, chunked", "chunked, chunked",
                  "chunked,", ",chunked", "chunked;a=b", "\"chunked\"", "'chunked'", "\x0bchunked", "\x0cchunked",
                  "chunked\0", "\0chunked", "chunk ed", "chunked chunked", "\xa0chunked"):
        refused(400, {f"{value!r} is no encoding": f"{POST}Transfer-Encoding: {value}{end}"})
    refused(400, {
        "chunked is not there twice": f"{POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked{end}",
        "nor beside another": f"{POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity{end}",
        "HTTP/1.0 has no chunks": f"POST {INFER} HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked{end}",
        "a length before chunked": f"{POST}Content-Length: 5\r\nTransfer-Encoding: chunked{end}",
        "a length behind chunked": f"{POST}Transfer-Encoding: chunked\r\nContent-Length: 5{end}",
        "a length of 0 too": f"{POST}Content-Length: 0\r\nTransfer-Encoding: chunked{end}",
        "a length and an unknown encoding": f"{POST}Content-Length: 5\r\nTransfer-Encoding: xchunked{end}",
        "a length and an empty encoding": f"{POST}Content-Length: 5\r\nTransfer-Encoding:{end}",
        "a length and chunked with keep-alive":
            f"{POST}Connection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked{end}",
        "a length and chunked of GET": f"{PLAIN}Content-Length: 5\r\nTransfer-Encoding: chunked{end}",
        "a length and chunked of HTTP/1.0":
            f"POST {INFER} HTTP/1.0\r\n{HOST}Connection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked{end}",
    })
    body = json_body(3)
    for field in ("Transfer-Encoding: chunked", "TRANSFER-ENCODING: CHUNKED", "Transfer-Encoding:\tChunked\t ",
                  "Transfer-Encoding:chunked"):
        with Line() as line:
            a = line.send(raw(f"{POST}{field}\r\n\r\n") + chunked(body, 9) + b"0\r\n\r\n" + get()).answer()
            ok(is_sum(a, 3) and line.status() == 200, f"{field!r} is chunked", a)
    answered(400, {"Transfer_Encoding is no encoding": f"{POST}Transfer_Encoding: chunked\r\n\r\n"})


def chunks():
    refused(400, {sentence: CHUNKED + text for sentence, text in {
        "a chunk has a size": "\r\n{}\r\n0\r\n\r\n",
        "a size is hexadecimal": "g\r\n{}\r\n0\r\n\r\n",
        "a size has no 0x": "0x2\r\n{}\r\n0\r\n\r\n",
        "a size has no minus": "-2\r\n{}\r\n0\r\n\r\n",
        "a size has no plus": "+2\r\n{}\r\n0\r\n\r\n",
        "nor has the last": "+0\r\n\r\n",
        "a size has no underscore": "0_2\r\n{}\r\n0\r\n\r\n",
        "no space is before a size": " 2\r\n{}\r\n0\r\n\r\n",
        "no tab is before a size": "\t2\r\n{}\r\n0\r\n\r\n",
        "no space is behind a size": "2 \r\n{}\r\n0\r\n\r\n",
        "nor before an extension": "2 ;a\r\n{}\r\n0\r\n\r\n",
        "also with leading zeros": "00000000000000002\r\n{}\r\n0\r\n\r\n",
        "a bare line feed ends no size": "2\n{}\r\n0\r\n\r\n",
        "a bare carriage return ends no size": "2\r{}\r\n0\r\n\r\n",
        "a line ends behind the payload": "2\r\n{}0\r\n\r\n",
        "exactly behind it": "2\r\n{}}\r\n0\r\n\r\n",
        "not before": "3\r\n{}\r\n0\r\n\r\n",
        "a bare line feed does not end it": "2\r\n{}\n0\r\n\r\n",
        "a bare carriage return does not end it": "2\r\n{}\r0\r\n\r\n",
        "a bare line feed does not end the body": "2\r\n{}\r\n0\n\n",
        "nor half of it": "2\r\n{}\r\n0\r\n\n",
        "an extension has a name": "2;\r\n{}\r\n0\r\n\r\n",
        "a name is a token": "2;a[=b\r\n{}\r\n0\r\n\r\n",
        "a value is there": "2;a=\r\n{}\r\n0\r\n\r\n",
        "a value is a token or quoted": "2;a=b c\r\n{}\r\n0\r\n\r\n",
        "a quoted one ends": "2;a=\"b\r\n{}\r\n0\r\n\r\n",
        "an extension has no NUL": "2;a=\0\r\n{}\r\n0\r\n\r\n",
        "an extension has no bare carriage return": "2;a\rb\r\n{}\r\n0\r\n\r\n",
        "a bare line feed ends no extension": "2;a\n{}\r\n0\r\n\r\n",
        "a trailer field has a colon": "2\r\n{}\r\n0\r\nnonsense\r\n\r\n",
        "no space is before it": "2\r\n{}\r\n0\r\nA : b\r\n\r\n",
        "a trailer is not folded": "2\r\n{}\r\n0\r\nA: b\r\n c\r\n\r\n",
        "a trailer has no NUL": "2\r\n{}\r\n0\r\nA: \0\r\n\r\n",
        "a bare line feed ends no trailer field": "2\r\n{}\r\n0\r\nA: b\n\r\n",
        "the first chunk may be wrong, too": "zz\r\n",
    }.items()})
    refused(413, {
        "extensions are bounded": CHUNKED + "2;" + "a" * 20000 + "\r\n{}\r\n0\r\n\r\n",
        "however many chunks they are spread over": CHUNKED + "1;aaaaaaaa\r\n \r\n" * 2500 + "0\r\n\r\n",
        "trailers are bounded": CHUNKED + "2\r\n{}\r\n0\r\n" + "A: b\r\n" * 4000 + "\r\n",
        "chunks are bounded in number": CHUNKED + "1\r\n \r\n" * 65537 + "0\r\n\r\n",
        "a chunk beyond the limit is not waited for": CHUNKED + "ffffffffff\r\n",
    })
    body = json_body(7)
    for sentence, text in (
            ("one chunk", chunked(body, len(body)) + b"0\r\n\r\n"),
            ("chunks of a byte", chunked(body, *[1] * len(body)) + b"0\r\n\r\n"),
            ("sizes in upper case and lower case", b"%X\r\n%s\r\n0a\r\n          \r\n0\r\n\r\n" % (len(body), body)),
            ("a few leading zeros", b"000%x\r\n%s\r\n0000\r\n\r\n" % (len(body), body)),
            ("extensions of every kind",
             b"%x;a;b=c; d = \"e\\\" ;\"\t;f\r\n%s\r\n0;g\r\n\r\n" % (len(body), body)),
            ("trailers", chunked(body, 3) + b"0\r\nX-Y: z\r\nA:\r\n\r\n"),
            ("trailers that would frame, route or authorise if they were headers",
             chunked(body, 3) + b"0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: evil.example\r\n"
             b"Authorization: Bearer x\r\nContent-Type: text/html\r\nOrigin: null\r\n\r\n")):
        with Line() as line:
            a = line.send(raw(CHUNKED) + text + get()).answer()
            ok(is_sum(a, 7) and line.status() == 200, f"{sentence}: read over", a)
    for sentence, text in (("all bits", "FFFFFFFFFFFFFFFF"), ("more than 64 bits", "10000000000000000"),
                           ("so many that they come to 2 again", "100000000000000000000000000000002")):
        with Line() as line:
            a = line.send(raw(CHUNKED + text + "\r\n{}\r\n0\r\n\r\n") + get()).answer()
            ok(a and a[0] in (400, 413) and error_of(a) and line.is_cut(), f"a size of {sentence} is refused", a)
    answered(400, {"an empty chunked body is an empty body": CHUNKED + "0\r\n\r\n"})


def percent():
    answered(400, {f"{path}": f"GET {path} HTTP/1.1\r\n{HOST}\r\n" for path in (
        "/v2/%00", "/v2/%0d%0aA:%20b", "/v2/%7f", "/v2/%5c", "/v2/a\\b", "/v2/models%2fsimple", "/v2/%", "/v2/%4", "/v2/%4g",
        "/v2/../v2", "/v2/./health/live", "/v2/%2e%2e/v2", "/v2/models/.%2e/simple", "/v2/models/..", "/%c0%af", "/v2/%ff",
        "/v2/%ed%a0%80", "/v2/models/%zz/infer", "/v2/models/s%00imple")})
    answered(404, {f"{path}": f"GET {path} HTTP/1.1\r\n{HOST}\r\n" for path in (
        "/v2/%2573", "/v2//models/simple", "//v2", "/V2", "/v2/", "/v2/models/simple/", "/v2/models/%c3%a9",
        "/v2/models/simple%20", "/v2/...", "/v2/models/sim+ple")})
    answered(200, {f"{path}": f"GET {path} HTTP/1.1\r\n{HOST}\r\n" for path in (
        "/v2?", "/v2?a", "/v2?a=b&c=d#"[:-1], "/v2?%", "/v2?a=%00", "/v2?/../..", "/v2?a?b", "/%76%32", "/v2/models/%73imple",
        "/v2/models/simple/%72eady", "/v2/models/simple?x=%2e%2e/", "/v2/health/%6cive")})
    a = ask(get("/v2/models/%22%3c%c3%a9"))
    ok(a and a[0] == 404 and "\"<\u00e9" in error_of(a), "a name is quoted as it was meant", a)
    a = ask(get("/v2/models/" + "%c3%a9" * 900))
    ok(a and a[0] == 404 and len(a[2]) < 1000 and error_of(a), "a long one is cut, the answer is still UTF-8", a)


def upgrades():
    answered(200, {
        "an upgrade to HTTP/2 is not taken": f"{PLAIN}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                                            "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n",
        "nor one to WebSocket": f"{PLAIN}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "nor one to what nobody knows": f"{PLAIN}Connection: Upgrade\r\nUpgrade: nonsense/9\r\n\r\n",
        "Upgrade without Connection says nothing": f"{PLAIN}Upgrade: websocket\r\n\r\n",
    })
    with Line() as line:
        a = line.send(infer(4, "Connection: Upgrade", "Upgrade: websocket") + get()).answer()
        ok(is_sum(a, 4) and line.status() == 200, "a POST with an upgrade is a POST", a)


def desync():
    """A body that would be a request, if one of two readers saw no body there."""
    poison = get("/nope")
    for sentence, data, status in (
            ("to what isn't there", post("/nope", poison), 404),
            ("to what takes GET", post("/v2", poison), 405),
            ("to an unknown deployment", post("/v2/models/nope/infer", poison), 404),
            ("that is no JSON", post(INFER, poison), 400),
            ("with OPTIONS", get("/v2", f"Content-Length: {len(poison)}", method="OPTIONS") + poison, None),
            ("with OPTIONS *", get("*", f"Content-Length: {len(poison)}", method="OPTIONS") + poison, None),
            ("in chunks", chunk_post(chunked(poison, 7) + b"0\r\n\r\n"), 400),
            ("from a foreign origin", post(INFER, poison, "Origin: http://evil.example"), 403),
            ("to a foreign host", post(INFER, poison).replace(host.encode(), b"evil.example", 1), 421),
            ("that is expected", post(INFER, poison, "Expect: 100-continue"), 100)):
        with Line() as line:
            a = line.send(data + get()).answer()
            good = a and (a[0] == status or status is None and a[0] in (200, 204, 405))
            if status == 100:
                good = good and line.status() == 400
            ok(good and line.status() == 200, f"a body {sentence} is no request", a)


run(request_line, version, methods, head_has_no_body, field_lines, host_header, targets, content_length,
    transfer_encoding, chunks, percent, upgrades, desync)
