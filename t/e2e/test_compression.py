# SPDX-License-Identifier: MIT
"""Bodies that are packed, both ways: what is understood, what is answered, what is refused."""

import gzip
import json
import os
import struct
import zlib

import pytest
from devserve import constant, x
from hostile import Bystander, Footprint, Wire, head, infer, post, sentence, turn, until

pack = {"gzip": lambda b: gzip.compress(b, 6), "deflate": lambda b: zlib.compress(b, 6)}
unpack = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: lambda b: b}

# Y is X, whatever its size.
ECHO = """\
#include <devserve/deployment.h>
#include <string.h>

static int infer(const struct devserve_call *call)
{
	void *y = devserve_make(call, 0, call->in[0].shape[0]);

	if (y)
		memcpy(y, call->in[0].data, call->in[0].size);
	return y ? 0 : -12;
}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_INT32, { -1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_INT32, { -1 } }),
	.infer = infer,
)
"""
PATH = "/v2/models/echo/infer"


def request(numbers, **more):
    return json.dumps({"inputs": [{"name": "X", "datatype": "INT32", "shape": [len(numbers)],
                                   "data": list(numbers)}], **more}).encode()


def binary_request(raw, **more):
    """The body, and the size of the JSON in it."""
    top = json.dumps({"inputs": [{"name": "X", "datatype": "INT32", "shape": [len(raw) // 4],
                                  "parameters": {"binary_data_size": len(raw)}}],
                      "parameters": {"binary_data_output": True}, **more}).encode()
    return top + raw, len(top)


def chunked(body, size):
    pieces = [body[at:at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def output(answer):
    """Y, of whatever kind of answer, as bytes."""
    status, headers, body = answer
    assert status == 200, answer
    body = unpack[headers.get("content-encoding")](body)
    size = int(headers.get("inference-header-content-length", len(body)))
    tensor, = json.loads(body[:size])["outputs"]
    if "data" in tensor:
        return struct.pack(f"<{len(tensor['data'])}i", *tensor["data"])
    assert tensor["parameters"]["binary_data_size"] == len(body) - size
    return body[size:]


@pytest.fixture
def server(root, serve):
    root.write("echo.c", ECHO)
    root.write("y.c", constant(7))
    return serve("--max-body", "4M", "--max-recordings", "0")  # they are shared memory, too


@pytest.fixture
def wire(server):
    with Wire(server.url) as wire:
        yield wire


NUMBERS = range(1000)
RAW = struct.pack("<1000i", *NUMBERS)


# --- requests


@pytest.mark.parametrize("coding", pack)
def test_a_packed_request_is_understood_in_every_form(server, wire, coding):
    named = f"Content-Encoding: {coding}"
    body = pack[coding](request(NUMBERS))
    assert output(wire.ask(post(server.url, PATH, body, named))) == RAW
    for size in 1, 7, len(body):
        wire.send(head(server.url, "POST", PATH, "Transfer-Encoding: chunked", named.upper()))
        assert output(wire.ask(chunked(body, size))) == RAW
    body, size = binary_request(RAW)
    told = f"Inference-Header-Content-Length: {size}"  # of what is packed
    assert output(wire.ask(post(server.url, PATH, pack[coding](body), named, told))) == RAW
    wire.send(head(server.url, "POST", PATH, "Transfer-Encoding: chunked", named, told))
    assert output(wire.ask(chunked(pack[coding](body), 100))) == RAW
    raw = post(server.url, PATH, pack[coding](RAW), named, "Inference-Header-Content-Length: 0")
    assert output(wire.ask(raw)) == RAW
    wire.send(head(server.url, "POST", PATH, f"Content-Length: {len(pack[coding](body))}", named, told,
                   "Expect: 100-continue"))
    assert wire.answer()[0] == 100
    assert output(wire.ask(pack[coding](body))) == RAW


@pytest.mark.parametrize("coding", pack)
@pytest.mark.parametrize("size", [1000, 1 << 20])
def test_a_chunk_may_hold_more_than_is_unpacked_at_once(server, wire, coding, size):
    raw = RAW * 900
    body, told = binary_request(raw)
    wire.send(head(server.url, "POST", PATH, "Transfer-Encoding: chunked", f"Content-Encoding: {coding}",
                   f"Inference-Header-Content-Length: {told}"))
    assert output(wire.ask(chunked(pack[coding](body), size))) == raw
    assert wire.ask(head(server.url))[0] == 200


@pytest.mark.parametrize("coding", pack)
def test_a_packed_request_may_be_cut_anywhere(server, wire, coding):
    body, size = binary_request(RAW[:40])
    data = post(server.url, PATH, pack[coding](body), f"Content-Encoding: {coding}",
                f"Inference-Header-Content-Length: {size}")
    with Wire(server.url) as beside:
        for cut in range(1, len(data)):
            wire.send(data[:cut])
            turn(beside)
            assert output(wire.ask(data[cut:])) == RAW[:40], cut
        for byte in data:
            wire.send(bytes([byte]))
        assert output(wire.answer()) == RAW[:40]


def test_packed_requests_may_be_pipelined(server, wire):
    body = pack["gzip"](request(NUMBERS))
    wire.send(post(server.url, PATH, body, "Content-Encoding: gzip") * 50 + head(server.url))
    assert [output(wire.answer()) for _ in range(50)] == [RAW] * 50
    assert wire.answer()[0] == 200


def test_gzip_may_have_members_and_another_name(server, wire):
    body = request(NUMBERS)
    packed = pack["gzip"](body[:100]) + pack["gzip"](b"") + pack["gzip"](body[100:])
    for name in "gzip", "x-gzip", "GZIP":
        assert output(wire.ask(post(server.url, PATH, packed, f"Content-Encoding: {name}"))) == RAW
    assert output(wire.ask(post(server.url, PATH, body, "Content-Encoding: identity"))) == RAW


def test_an_unknown_coding_is_501_and_named(server, wire):
    for name in "br", "gzip, gzip", "identity, gzip", "compress":
        answer = wire.ask(post(server.url, PATH, request(NUMBERS), f"Content-Encoding: {name}"))
        assert answer[0] == 501 and "gzip" in sentence(answer), (name, answer)


def test_what_is_no_such_stream_is_400_and_the_connection_goes_on(server, wire):
    body = request(NUMBERS)
    packed = pack["gzip"](body)
    cases = {
        "not packed at all": ("gzip", body),
        "of the other kind": ("gzip", pack["deflate"](body)),
        "of the other kind again": ("deflate", packed),
        "raw deflate": ("deflate", pack["deflate"](body)[2:-4]),
        "something behind it": ("gzip", packed + b"xx"),
        "something behind it again": ("deflate", pack["deflate"](body) + b"x"),
        "a wrong checksum": ("gzip", packed[:-8] + b"\0\0\0\0" + packed[-4:]),
        "a wrong length": ("gzip", packed[:-4] + b"\0\0\0\0"),
        "an impossible block": ("deflate", pack["deflate"](body)[:2] + b"\xff" + pack["deflate"](body)[3:]),
    }
    for kind, (coding, data) in cases.items():
        answer = wire.ask(post(server.url, PATH, data, f"Content-Encoding: {coding}"))
        assert answer[0] == 400 and "Content-Encoding" in sentence(answer), (kind, answer)
    for coding in pack:
        data = pack[coding](body)
        for size in range(1, len(data), 97):
            answer = wire.ask(post(server.url, PATH, data[:size], f"Content-Encoding: {coding}"))
            assert answer[0] == 400 and "ends before" in sentence(answer), (size, answer)
    assert output(wire.ask(post(server.url, PATH, packed, "Content-Encoding: gzip"))) == RAW


def bomb(coding, size):
    """What becomes `size` spaces, at a thousandth of it."""
    z = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == "gzip" else 15)
    block, out = b" " * (1 << 20), []
    for _ in range(size >> 20):
        out.append(z.compress(block))
    return b"".join(out) + z.flush()


@pytest.mark.parametrize("coding", pack)
def test_a_bomb_is_413_at_the_limit_and_costs_no_memory(server, wire, coding, record_property):
    data = bomb(coding, 1 << 30)
    assert len(data) < 4 << 20
    before, sizes = Footprint(server), []
    with Bystander(server, value=7) as bystander:
        for fields in (), ("Inference-Header-Content-Length: 0", ), ():
            for _ in range(4):
                with Wire(server.url) as other:
                    answer = other.ask(post(server.url, PATH, data, f"Content-Encoding: {coding}", *fields))
                    assert answer[0] == 413 and "4194304" in sentence(answer), answer
                sizes.append(Footprint(server).own)
    assert not bystander.wrong
    record_property("worst answer beside bombs, ms", round(bystander.worst * 1000, 1))
    assert max(sizes) <= before.own + (16 << 20)  # a few times the limit; a bomb is 1 GiB
    assert sizes[-1] <= sizes[2] + (1 << 20)


def test_a_bomb_of_exact_size_is_no_bomb(server, wire):
    body = request([0])
    body += b" " * ((4 << 20) - len(body))
    assert output(wire.ask(post(server.url, PATH, pack["gzip"](body), "Content-Encoding: gzip"))) == bytes(4)
    answer = wire.ask(post(server.url, PATH, pack["gzip"](body + b" "), "Content-Encoding: gzip"))
    assert answer[0] == 413, answer


def test_a_stream_of_nothing_ends_too(server):
    """Empty blocks become no byte; what comes counts as well."""
    z = zlib.compressobj(6, zlib.DEFLATED, 31)
    data = z.flush(zlib.Z_SYNC_FLUSH)[:10]
    with Wire(server.url) as wire:
        wire.send(head(server.url, "POST", PATH, "Transfer-Encoding: chunked", "Content-Encoding: gzip"))
        try:
            wire.send(b"a\r\n" + data + b"\r\n")
            for _ in range(80):
                wire.send(b"ffff\r\n" + b"\0\0\0\xff\xff" * 13107 + b"\r\n")
        except OSError:
            pass
        assert wire.answer()[0] == 413


# --- answers


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("n", [16, 1000, 500_000])
def test_an_answer_comes_as_the_client_wants_it(server, wire, binary, n):
    raw = struct.pack(f"<{n}i", *range(n))
    body, size = binary_request(raw)
    if not binary:
        body = body.replace(b'"binary_data_output": true', b'"binary_data_output":false')
    fields = [f"Inference-Header-Content-Length: {size}"]
    plain = wire.ask(post(server.url, PATH, body, *fields))
    assert output(plain) == raw and "content-encoding" not in plain[1]
    assert plain[1]["vary"] == "Accept-Encoding"
    for accept, coding in (("gzip", "gzip"), ("deflate", "deflate"), ("deflate, gzip", "deflate"),
                           ("br, gzip;q=0.5", "gzip"), ("gzip;q=0.2, deflate;q=0.9", "deflate"),
                           ("gzip;q=0", None), ("identity", None), ("br", None), ("*", "gzip"),
                           ("identity;q=0, gzip", "gzip")):
        answer = wire.ask(post(server.url, PATH, body, *fields, f"Accept-Encoding: {accept}"))
        assert answer[1].get("content-encoding") == coding, (accept, answer[1])
        assert output(answer) == raw and answer[1]["vary"] == "Accept-Encoding"
        assert answer[1].get("inference-header-content-length") == plain[1].get("inference-header-content-length")
        assert answer[1]["content-type"] == plain[1]["content-type"]
        assert (len(answer[2]) < len(plain[2])) == bool(coding)


def test_what_does_not_get_smaller_comes_as_it_is_unless_that_is_forbidden(server, wire):
    for size in 100, 40_000, 1_000_000:
        body, n = binary_request(os.urandom(size))
        ask = lambda accept: wire.ask(post(server.url, PATH, body, f"Inference-Header-Content-Length: {n}",
                                           f"Accept-Encoding: {accept}"))
        answer = ask("gzip")
        assert output(answer) == body[n:]
        assert size == 100 or "content-encoding" not in answer[1]
        answer = ask("gzip, identity;q=0")
        assert answer[1]["content-encoding"] == "gzip" and output(answer) == body[n:]


def test_who_takes_nothing_that_is_known_gets_406(server, wire):
    for accept in "identity;q=0", "br, *;q=0", "br, identity;q=0":
        answer = wire.ask(infer(server.url, "y", x(1), f"Accept-Encoding: {accept}"))
        assert answer[0] == 406 and sentence(answer), (accept, answer)
    assert wire.ask(infer(server.url, "y"))[0] == 200


def test_errors_and_metadata_are_never_packed(server, wire):
    accept = "Accept-Encoding: gzip, identity;q=0"
    answer = wire.ask(post(server.url, PATH, b"{" * 5000, accept))
    assert answer[0] == 400 and sentence(answer)
    assert json.loads(wire.ask(head(server.url, "GET", "/v2/models/echo", accept))[2])["name"] == "echo"


def test_packed_answers_keep_their_order_and_leave_nothing(server, wire):
    """Large ones are made in slices, in turn; some of their clients leave before."""
    large, n = binary_request(bytes(3 << 20))
    size = f"Inference-Header-Content-Length: {n}"
    turn(wire)
    before = Footprint(server)
    gone = []
    for _ in range(12):
        gone.append(Wire(server.url).send(post(server.url, PATH, large, size, "Accept-Encoding: gzip") * 2))
    with Bystander(server, value=7) as bystander:
        wire.send(post(server.url, PATH, large, size, "Accept-Encoding: gzip")
                  + infer(server.url, "y", x(1), "Accept-Encoding: gzip")
                  + post(server.url, PATH, large, size, "Accept-Encoding: deflate"))
        for other in gone[:6]:
            other.reset()
        assert output(wire.answer()) == bytes(3 << 20)
        assert json.loads(wire.answer()[2])["outputs"]
        answer = wire.answer()
        assert output(answer) == bytes(3 << 20) and answer[1]["content-encoding"] == "deflate"
        for other in gone[6:]:
            assert [output(other.answer()) for _ in range(2)] == [bytes(3 << 20)] * 2
            other.close()
    assert not bystander.wrong
    until(lambda: Footprint(server).shared <= before.shared + (1 << 20), wire)


def test_packing_may_be_switched_off(root, serve):
    root.write("y.c", constant(7))
    server = serve("--compression", "0")
    with Wire(server.url) as wire:
        answer = wire.ask(infer(server.url, "y", x(1), "Accept-Encoding: gzip"))
        assert answer[0] == 200 and "content-encoding" not in answer[1] and "vary" not in answer[1]
        assert wire.ask(infer(server.url, "y", x(1), "Accept-Encoding: gzip, identity;q=0"))[0] == 406


# --- a client that others wrote


@pytest.mark.parametrize("back", [None, "gzip", "deflate"])
@pytest.mark.parametrize("forth", [None, "gzip", "deflate"])
def test_tritonclient_packs_both_ways(server, forth, back):
    np = pytest.importorskip("numpy")
    triton = pytest.importorskip("tritonclient.http")
    client = triton.InferenceServerClient(server.url.removeprefix("http://"))
    for binary in True, False:
        for numbers in np.arange(10, dtype=np.int32), np.arange(200_000, dtype=np.int32):
            if not binary and len(numbers) > 1000:
                continue
            tensor = triton.InferInput("X", numbers.shape, "INT32")
            tensor.set_data_from_numpy(numbers, binary_data=binary)
            result = client.infer("echo", [tensor], request_compression_algorithm=forth,
                                  outputs=[triton.InferRequestedOutput("Y", binary_data=binary)],
                                  response_compression_algorithm=back)
            assert (result.as_numpy("Y") == numbers).all()
    client.close()
