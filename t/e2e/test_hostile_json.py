# SPDX-License-Identifier: MIT
"""What a request may get wrong, one rule a row: 400 with a sentence that names the place, as
JSON that isn't long whatever came in, and the connection serves on."""

import json
import os
import struct
import threading
import time

import pytest

from devserve import Root, Server

MANY = 100_000
TEXTS = """\
#include <devserve/deployment.h>

static int infer(const struct devserve_call *call)
{
	struct devserve_bytes text;

	for (size_t at = 0; devserve_next(&call->in[0], &at, &text);)
		if (devserve_append(call, 0, text.data, text.size) < 0)
			return -1;
	return devserve_make(call, 0, devserve_dim(&call->in[0], 0)) && devserve_make(call, 1, 1) ? 0 : -1;
}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "TEXT", DEVSERVE_BYTES, { -1 } }),
	.outputs = DEVSERVE_TENSORS({ "SAME", DEVSERVE_BYTES, { -1 } }, { "HALF", DEVSERVE_FP16, { -1 } }),
	.infer = infer,
)
"""
NUMBERS = """\
#include <devserve/deployment.h>

static int infer(const struct devserve_call *call)
{
	(void)call;
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "I", DEVSERVE_INT8, { 2, 3 } }, { "F", DEVSERVE_FP32, { 1 } },
				   { "U", DEVSERVE_UINT64, { 1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_INT8, { 1 } }),
	.infer = infer,
)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile")
    root = Root(path / "plugins")
    root.copy("simple")
    root.write("texts.c", TEXTS)
    root.write("numbers.c", NUMBERS)
    server = Server(root, log=path / "stderr").wait_listening().wait_ready()
    yield server
    assert server.worker_pids("simple") and server.stop() == 0


def infer(client, name, body, json_size=None):
    if not isinstance(body, bytes):
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
    headers = {} if json_size is None else {"Inference-Header-Content-Length": str(json_size)}
    return client.call("POST", f"/v2/models/{name}/infer", body, headers)


def tensor(name, data, datatype="INT32", shape=(1, 16), **more):
    return {"name": name, "datatype": datatype, "shape": list(shape), "data": data, **more}


ROW = list(range(16))
GOOD = {"inputs": [tensor("INPUT0", ROW), tensor("INPUT1", ROW)]}


def simple(first=None, second=None, **more):
    """A request to `simple`, with these members of its inputs exchanged, or taken away: `...`."""
    inputs = [{k: v for k, v in {**good, **(changes or {})}.items() if v is not Ellipsis}
              for good, changes in zip(GOOD["inputs"], (first, second))]
    return {"inputs": inputs, **more}


def numbers(i="[1,2,3,4,5,6]", f="[1]", u="[1]"):
    """The text of a request to `numbers`, with these texts as data."""
    return (f'{{"inputs":[{{"name":"I","datatype":"INT8","shape":[2,3],"data":{i}}},'
            f'{{"name":"F","datatype":"FP32","shape":[1],"data":{f}}},'
            f'{{"name":"U","datatype":"UINT64","shape":[1],"data":{u}}}]}}')


def texts(data, n=1):
    """The text of a request to `texts`, which answers with the same."""
    return (f'{{"inputs":[{{"name":"TEXT","datatype":"BYTES","shape":[{n}],"data":{data}}}],'
            '"outputs":[{"name":"SAME"}]}').encode("utf-8", "surrogateescape")


def raw(head, *parts):
    """JSON, and what follows it."""
    head = json.dumps(head).encode()
    return head + b"".join(parts), len(head)


BINARY = {"inputs": [{"name": n, "datatype": "INT32", "shape": [1, 16], "parameters": {"binary_data_size": 64}}
                     for n in ("INPUT0", "INPUT1")]}
SIZES = bytes(128)


def sized(size):
    return {"inputs": [{**BINARY["inputs"][0], "parameters": {"binary_data_size": size}}, BINARY["inputs"][1]]}


def bytes_tensor(content, n=1):
    return raw({"inputs": [{"name": "TEXT", "datatype": "BYTES", "shape": [n],
                            "parameters": {"binary_data_size": len(content)}}], "outputs": [{"name": "SAME"}]},
               content)


KIND = "Unable to parse '{}': attempt to access JSON non-{} as {} (at {})"
SHAPE = "Unable to parse 'data': Shape does not match true shape of 'data' field of input '{}' (at {})"
RANGE = "Unable to parse 'data': a number is out of range for {} of input '{}' (at {})"


def kind(member, of, at):
    return KIND.format(member, of, of, at)


def element(of, name, at):
    return KIND.format("data", of, of + f" of input '{name}'", at)


def bad(what, column=None):
    return f"failed to parse the request JSON buffer: {what}" + (f" (at line 1, column {column})" if column else "")


# rule, deployment, body [and size of its JSON], what it says (… stands for anything)
RULES = [
    # the text, and what reading it takes
    ("an empty text is no request", "simple", b" ", bad("the text ends where a value was expected", 2)),
    ("a text that ends early", "simple", b'{"inputs":[', bad("the text ends where a value was expected", 12)),
    ("a trailing comma", "simple", b'{"inputs":[1,]}', bad("a value was expected", 14)),
    ("something behind the JSON", "simple", json.dumps(GOOD) + "{}", bad("something follows the JSON", "…")),
    ("NaN is no JSON", "numbers", numbers(f="[NaN]"), bad("JSON has no NaN and no Infinity", "…")),
    ("Infinity is no JSON", "numbers", numbers(f="[-Infinity]"), bad("JSON has no NaN and no Infinity", "…")),
    ("a number beyond FP64", "numbers", numbers(f="[1e999]"), bad("a number is larger than any FP64", "…")),
    ("a leading zero", "numbers", numbers(f="[01]"), bad("a number may not begin with a zero", "…")),
    ("invalid UTF-8", "texts", texts('["\udcff"]'), bad("the text is not UTF-8", 67)),
    ("a surrogate in UTF-8", "texts", texts('["\udced\udca0\udc80"]'), bad("the text is not UTF-8", 67)),
    ("half a surrogate pair, the first", "texts", texts(r'["\ud800"]'),
     bad("half of a surrogate pair is no character", "…")),
    ("half a surrogate pair, the second", "texts", texts(r'["\udc00"]'),
     bad("half of a surrogate pair is no character", "…")),
    ("a control character in a string", "texts", texts('["\x01"]'),
     bad("a control character in a string must be escaped", "…")),
    ("nested too deeply", "numbers", numbers(i="[" * 101 + "]" * 101),
     "JSON nesting depth exceeds maximum allowed limit (100) (at line 1, column …)"),
    ("a hundred thousand brackets", "numbers", numbers(i="[" * MANY + "]" * MANY),
     "JSON nesting depth exceeds maximum allowed limit (100) (at line 1, column …)"),
    ("a hundred thousand open brackets", "numbers", b"[" * MANY, bad("…")),
    ("an array is no request", "simple", b"[]", bad("it is not an object")),
    ("a string is no request", "simple", b'"inputs"', bad("it is not an object")),
    # keys
    ("a key of the request twice", "simple", b'{"inputs":[],"inputs":[]}', "'inputs' comes twice"),
    ("a key of an input twice", "numbers", numbers(i='[1,2,3,4,5,6],"data":[]'),
     "'data' comes twice (at inputs[0].data)"),
    ("a key that is escaped twice", "numbers", numbers(f='[1],"n\\u0061me":"U"'), "'name' comes twice (at inputs[1].name)"),
    # kinds
    ("no inputs", "simple", {}, "Unable to parse 'inputs': attempt to access JSON non-array as array"),
    ("inputs that are an object", "simple", {"inputs": GOOD["inputs"][0]},
     "Unable to parse 'inputs': attempt to access JSON non-array as array"),
    ("an input that is an array", "simple", {"inputs": [[]]}, kind("inputs", "object", "inputs[0]")),
    ("an input that is null", "simple", {"inputs": [GOOD["inputs"][0], None]}, kind("inputs", "object", "inputs[1]")),
    ("a name that is a number", "simple", simple(second={"name": 7}), kind("name", "string", "inputs[1].name")),
    ("a datatype that is null", "simple", simple({"datatype": None}), kind("datatype", "string", "inputs[0].datatype")),
    ("no datatype", "simple", simple({"datatype": ...}), kind("datatype", "string", "inputs[0].datatype")),
    ("no shape", "simple", simple({"shape": ...}), kind("shape", "array", "inputs[0].shape")),
    ("a shape that is a number", "simple", simple(second={"shape": 16}), kind("shape", "array", "inputs[1].shape")),
    ("data that are an object", "simple", simple({"data": {}}), kind("data", "array", "inputs[0].data")),
    ("data that are a number", "simple", simple({"data": 1}), kind("data", "array", "inputs[0].data")),
    ("an id that is a number", "simple", simple(id=7), "Unable to parse 'id': attempt to access JSON non-string as string"),
    ("an id of a megabyte", "simple", simple(id="x" * 1_000_000), "the id has 1000000 bytes, and may have 1024"),
    ("outputs that are an object", "simple", simple(outputs={}),
     "Unable to parse 'outputs': attempt to access JSON non-array as array"),
    ("an output that is a string", "simple", simple(outputs=["OUTPUT0"]), kind("outputs", "object", "outputs[0]")),
    ("an output without a name", "simple", simple(outputs=[{"name": "OUTPUT0"}, {}]),
     kind("name", "string", "outputs[1].name")),
    # parameters
    ("parameters that are an array", "simple", simple(parameters=[]),
     "Unable to parse 'parameters': attempt to access JSON non-object as object"),
    ("an input's parameters that are a string", "simple", simple(second={"parameters": "x"}),
     kind("parameters", "object", "inputs[1].parameters")),
    ("a parameter that is an object", "simple", simple(parameters={"a": 1, "b": {}}),
     "parameter 'b' has invalid type. It should be either 'int', 'bool', or 'string'. (at parameters.b)"),
    ("an output's parameter that is null", "simple", simple(outputs=[{"name": "OUTPUT1", "parameters": {"x": None}}]),
     "parameter 'x' has invalid type. It should be either 'int', 'bool', or 'string'. (at outputs[0].parameters.x)"),
    ("a parameter that is reserved", "simple", simple(parameters={"triton_x": 1}),
     "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified. "
     "(at parameters.triton_x)"),
    ("a hundred thousand parameters, the last one wrong", "simple",
     simple(parameters={f"p{i}": i if i < MANY - 1 else [] for i in range(MANY)}),
     "parameter 'p99999' has invalid type. It should be either 'int', 'bool', or 'string'. (at parameters.p99999)"),
    ("a parameter's name of a megabyte", "simple", simple(parameters={"k" * 1_000_000: None}),
     "parameter '" + "k" * 64 + "…' has invalid type. It should be either 'int', 'bool', or 'string'. "
     "(at parameters." + "k" * 64 + "…)"),
    ("binary_data that is a string", "simple", simple(outputs=[{"name": "OUTPUT0", "parameters": {"binary_data": "y"}}]),
     kind("binary_data", "boolean", "outputs[0].parameters.binary_data")),
    # names
    ("an unknown input", "simple", simple(second={"name": "INPUT2"}),
     "unexpected inference input 'INPUT2' for model 'simple' (at inputs[1].name)"),
    ("a NUL in a name", "simple", simple({"name": "INPUT0\0"}),
     r"unexpected inference input 'INPUT0\u0000' for model 'simple' (at inputs[0].name)"),
    ("a NUL in a datatype", "simple", simple({"datatype": "INT32\0"}),
     r"inference input 'INPUT0' data-type is 'INT32\u0000', but model 'simple' expects 'INT32' (at inputs[0].datatype)"),
    ("a name of a megabyte", "simple", simple({"name": "🙂" * 250_000}),
     "unexpected inference input '" + "🙂" * 16 + "…' for model 'simple' (at inputs[0].name)"),
    ("an input twice", "simple", simple(second={"name": "INPUT0"}),
     "input 'INPUT0' already exists in request (at inputs[1].name)"),
    ("ten thousand inputs", "simple", {"inputs": GOOD["inputs"] * 5000},
     "input 'INPUT0' already exists in request (at inputs[2].name)"),
    ("an input is missing", "simple", {"inputs": GOOD["inputs"][:1]},
     "expected 2 inputs but got 1 inputs for model 'simple'. Got input(s) ['INPUT0'], but missing required "
     "input(s) ['INPUT1']. Please provide all required input(s)."),
    ("an unknown output", "simple", simple(outputs=[{"name": "OUTPUT0"}, {"name": "x\n"}]),
     r"unexpected inference output 'x\u000a' for model 'simple' (at outputs[1].name)"),
    ("another datatype", "simple", simple(second={"datatype": "INT64"}),
     "inference input 'INPUT1' data-type is 'INT64', but model 'simple' expects 'INT32' (at inputs[1].datatype)"),
    # shapes
    ("a negative extent", "simple", simple({"shape": [1, -16]}), kind("shape", "unsigned-integer", "inputs[0].shape[1]")),
    ("an extent that is a fraction", "simple", simple(second={"shape": [1.5, 16]}),
     kind("shape", "unsigned-integer", "inputs[1].shape[0]")),
    ("an extent that is a string", "simple", simple({"shape": [1, "16"]}),
     kind("shape", "unsigned-integer", "inputs[0].shape[1]")),
    ("a shape that overflows 64 bits", "simple", simple({"shape": [2**62, 2**62]}),
     "shape of input 'INPUT0' causes total element count to exceed maximum size of 9223372036854775807 "
     "(at inputs[0].shape)"),
    ("an extent of more than 63 bits", "simple", simple({"shape": [1, 2**63]}),
     "shape of input 'INPUT0' causes total element count to exceed maximum size of 9223372036854775807 "
     "(at inputs[0].shape[1])"),
    ("an extent of more than 64 bits", "simple", simple({"shape": [1, 2**64]}),
     kind("shape", "unsigned-integer", "inputs[0].shape[1]")),
    ("bytes that overflow 64 bits", "simple", simple({"shape": [1, 2**62]}),
     "byte size overflow for input 'INPUT0' (at inputs[0].shape)"),
    ("another shape", "simple", simple({"shape": [1, 17]}),
     "unexpected shape for input 'INPUT0' for model 'simple'. Expected [-1,16], got [1,17] (at inputs[0].shape[1])"),
    ("another rank", "simple", simple({"shape": [1, 4, 4]}),
     "unexpected shape for input 'INPUT0' for model 'simple'. Expected [-1,16], got [1,4,4] (at inputs[0].shape)"),
    ("a hundred thousand extents", "simple", simple({"shape": [1] * MANY}),
     "unexpected shape for input 'INPUT0' for model 'simple'. Expected [-1,16], got [1,1,1,1,1,1,1,1,…] "
     "(at inputs[0].shape)"),
    ("a batch of nothing", "simple", simple({"shape": [0, 16], "data": []}),
     "inference request batch-size must be >= 1 for 'simple' (at inputs[0].shape[0])"),
    ("a batch that is too large", "simple", simple({"shape": [2**31, 16]}),
     "inference request batch-size must be <= 8 for 'simple' (at inputs[0].shape[0])"),
    ("two batches", "simple", simple(second={"shape": [2, 16], "data": ROW * 2}),
     "input 'INPUT1' batch size does not match other inputs for 'simple' (at inputs[1].shape[0])"),
    ("a shape of more than was sent", "texts", texts('["a"]', 2**40), SHAPE.format("TEXT", "inputs[0].data")),
    # data
    ("too few elements", "numbers", numbers("[1,2,3,4,5]"), SHAPE.format("I", "inputs[0].data")),
    ("too many elements", "numbers", numbers("[1,2,3,4,5,6,7]"), SHAPE.format("I", "inputs[0].data[6]")),
    ("ragged rows", "numbers", numbers("[[1,2,3],[4,5]]"), SHAPE.format("I", "inputs[0].data[1]")),
    ("a row too many", "numbers", numbers("[[1,2,3],[4,5,6],[]]"), SHAPE.format("I", "inputs[0].data[2]")),
    ("nested, then flat", "numbers", numbers("[[1,2,3],4,5,6]"), SHAPE.format("I", "inputs[0].data[1]")),
    ("flat, then nested", "numbers", numbers("[1,2,3,[4,5,6]]"), SHAPE.format("I", "inputs[0].data[3]")),
    ("nested too deeply for the shape", "numbers", numbers("[[[1],2,3],[4,5,6]]"), SHAPE.format("I", "inputs[0].data[0][0]")),
    ("an integer out of range", "numbers", numbers("[1,2,3,4,5,128]"), RANGE.format("INT8", "I", "inputs[0].data[5]")),
    ("a negative integer out of range", "numbers", numbers("[[1,2,3],[4,-129,6]]"),
     RANGE.format("INT8", "I", "inputs[0].data[1][1]")),
    ("an exponent out of range", "numbers", numbers("[1e3,2,3,4,5,6]"), RANGE.format("INT8", "I", "inputs[0].data[0]")),
    ("a fraction for an integer", "numbers", numbers("[1,2.5,3,4,5,6]"), element("signed-integer", "I", "inputs[0].data[1]")),
    ("a negative number for an unsigned one", "numbers", numbers(u="[-1]"),
     element("unsigned-integer", "U", "inputs[2].data[0]")),
    ("an integer beyond UINT64", "numbers", numbers(u="[18446744073709551616]"),
     RANGE.format("UINT64", "U", "inputs[2].data[0]")),
    ("a number beyond FP32", "numbers", numbers(f="[1e39]"), RANGE.format("FP32", "F", "inputs[1].data[0]")),
    ("a string for a number", "numbers", numbers(f='["1"]'), element("number", "F", "inputs[1].data[0]")),
    ("null for a number", "numbers", numbers(f="[null]"), element("number", "F", "inputs[1].data[0]")),
    ("true for a number", "numbers", numbers(f="[true]"), element("number", "F", "inputs[1].data[0]")),
    ("a number for a string", "texts", texts('["a",1]', 2), element("string", "TEXT", "inputs[0].data[1]")),
    ("null for a string", "texts", texts("[null]"), element("string", "TEXT", "inputs[0].data[0]")),
    ("neither data nor a size", "simple", simple({"data": ...}),
     "input 'INPUT0' has neither 'data' nor 'binary_data_size' (at inputs[0])"),
    ("data and a size", "simple", simple(second={"parameters": {"binary_data_size": 64}}),
     "input 'INPUT1' has both 'data' and 'binary_data_size' (at inputs[1])"),
    # sizes
    ("a size without a header size", "simple", BINARY,
     "must specify valid 'Infer-Header-Content-Length' in request header and 'binary_data_size' when passing inputs "
     "in binary data format (at inputs[0].parameters.binary_data_size)"),
    ("a header size beyond the body", "simple", (b"{}", 3), "inference header size should be in range (0, 2), got: 3"),
    ("a header size that ends within the JSON", "simple", (json.dumps(GOOD).encode(), 30), bad("…")),
    ("a header size that includes the tensors", "simple", (raw(BINARY, SIZES)[0], raw(BINARY, SIZES)[1] + 1), bad("…")),
    ("a header size that is no number", "simple", (json.dumps(GOOD).encode(), "x"),
     "Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in 'simple' model configuration"),
    ("a header size of more than 64 bits", "simple", (b"{}", 2**64),
     "Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in 'simple' model configuration"),
    ("a size that is negative", "simple", raw(sized(-64), SIZES),
     kind("binary_data_size", "unsigned-integer", "inputs[0].parameters.binary_data_size")),
    ("a size that is a string", "simple", raw(sized("64"), SIZES),
     kind("binary_data_size", "unsigned-integer", "inputs[0].parameters.binary_data_size")),
    ("a size that isn't the shape's", "simple", raw(sized(63), SIZES),
     "input byte size mismatch for input 'INPUT0' for model 'simple'. Expected 64, got 63 "
     "(at inputs[0].parameters.binary_data_size)"),
    ("a size of 64 bits", "simple", raw(sized(2**64 - 1), SIZES),
     "input byte size mismatch for input 'INPUT0' for model 'simple'. Expected 64, got 18446744073709551615 "
     "(at inputs[0].parameters.binary_data_size)"),
    ("fewer bytes than the sizes say", "simple", raw(BINARY, SIZES[:-1]),
     "unexpected size for input 'INPUT1', expecting 1 additional bytes for model 'simple'"),
    ("more bytes than the sizes say", "simple", raw(BINARY, SIZES, b"!"),
     "unexpected additional input data for model 'simple'"),
    ("BYTES whose element is cut", "texts", bytes_tensor(struct.pack("<I", 2) + b"a"),
     "incomplete string data for inference input 'TEXT' for model 'texts', expecting string of length 2 but only "
     "1 bytes available"),
    ("BYTES whose length is 4 GiB", "texts", bytes_tensor(struct.pack("<I", 2**32 - 1) + b"a"),
     "incomplete string data for inference input 'TEXT' for model 'texts', expecting string of length 4294967295 "
     "but only 1 bytes available"),
    ("BYTES of too many elements", "texts", bytes_tensor(bytes(8)),
     "unexpected number of string elements 2 for inference input 'TEXT' for model 'texts', expecting 1"),
    # outputs
    ("an output that JSON cannot say", "texts", {"inputs": [tensor("TEXT", ["a"], "BYTES", [1])]},
     "sending FP16 data via JSON is not supported. Please use the binary data format for output HALF"),
    ("an output whose bytes JSON cannot say", "texts", bytes_tensor(struct.pack("<I", 1) + b"\xff"),
     "output 'SAME' has BYTES that are not UTF-8, which JSON cannot say. Please use the binary data format"),
]


def check_good(client):
    answer = infer(client, "simple", GOOD)
    assert answer.output("OUTPUT0") == [2 * i for i in ROW] and answer.output("OUTPUT1") == [0] * 16


def matches(sentence, text):
    begin, dots, end = sentence.partition("…")
    if begin.count("'") % 2 or not dots:  # dots of the sentence itself
        return text == sentence
    return text.startswith(begin) and text.endswith(end)


@pytest.mark.parametrize("rule, name, body, sentence", RULES, ids=[rule[0] for rule in RULES])
def test_it_is_refused_with_a_sentence(server, rule, name, body, sentence):
    client = server.client
    answer = infer(client, name, *body) if isinstance(body, tuple) else infer(client, name, body)
    assert answer.status == 400, answer
    assert answer.headers["Content-Type"] == "application/json" and len(answer.body) < 600
    assert list(answer.json) == ["error"] and matches(sentence, answer.json["error"]), answer.json
    check_good(client)  # on the same connection


def test_numbers_are_taken_however_they_are_written(server):
    for text in (numbers("[1e0,-0,-0.0,1.27e2,-128,10e-1]"), numbers(f="[100000000000000000000]"), numbers(f="[-0]"),
                 numbers(f="[1e-999]"), numbers(u="[18446744073709551615]"), numbers(u="[1.8446744073709550e19]"),
                 numbers("[[1,2,3],[4,5,6]]"), numbers().replace(":", " :\t").replace(",", "\r\n, ")):
        assert infer(server.client, "numbers", text).status == 200, text


def test_strings_come_back_as_they_went(server):
    for text in ("", "\0", "a\0b", '"\\\b\f\n\r\t/', "\x7f\x80", "é四🙂", "\ufffd\ufffe", "x" * 100_000):
        assert infer(server.client, "texts", texts(json.dumps([text]))).output("SAME") == [text]
        assert infer(server.client, "texts", texts(json.dumps([text], ensure_ascii=False))).output("SAME") == [text]


def test_a_hundred_thousand_parameters_cost_no_more_than_reading_them(server):
    many = simple(parameters={f"p{i}": i for i in range(MANY)})
    for _ in range(3):
        began = time.monotonic()
        assert infer(server.client, "simple", json.dumps(many).encode()).status == 200
        took = time.monotonic() - began
    assert took < 2  # 20 s where each is looked for among the others


def test_a_client_beside_them_is_answered(server):
    def all_of_them():
        client = server.new_client()
        for _, name, body, _ in RULES * 3:
            infer(client, name, *(body if isinstance(body, tuple) else (body,)))

    hostile, worst = threading.Thread(target=all_of_them), 0
    hostile.start()
    while hostile.is_alive():
        began = time.monotonic()
        check_good(server.client)
        worst = max(worst, time.monotonic() - began)
    hostile.join()
    print(f"worst latency beside them: {worst * 1000:.1f} ms")
    assert worst < 5


def test_requests_like_these_leave_no_memory_and_no_descriptors(server):
    def of_server():
        path = f"/proc/{server.process.pid}"
        fields = open(f"{path}/status").read()
        return int(fields.partition("RssAnon:")[2].split()[0]), len(os.listdir(f"{path}/fd"))

    def all_of_them():
        for _, name, body, _ in RULES:
            infer(server.client, name, *(body if isinstance(body, tuple) else (body,)))

    for _ in range(3):  # until pools have found their size
        all_of_them()
    before = of_server()
    for _ in range(10):
        all_of_them()
    after = of_server()
    assert after[1] == before[1], (before, after)
    # a sanitizer keeps what is freed for a while
    assert after[0] - before[0] < 256 or os.environ.get("DEVSERVE_SANITIZE"), (before, after)


def test_json_counts_against_the_memory_of_all_requests(root, serve):
    root.write("texts.c", TEXTS)
    server = serve("--max-memory", "64M")
    sentence = "JSON would take {} bytes of memory, which is more than all requests may (--max-memory); use binary tensors"

    def refused(body, status, sentence):
        answer = infer(server.client, "texts", *(body if isinstance(body, tuple) else (body,)))
        assert answer.status == status and matches(sentence, answer.json["error"]), answer
        assert infer(server.new_client(), "texts", texts('["a"]')).output("SAME") == ["a"]
        server.client = server.new_client()

    refused(texts('["a"' + ' ' * (40 << 20) + "]"), 413, sentence.format("…"))  # the text, and what reading it takes
    refused(texts("[" + "1," * (5 << 20) + "1]", 1), 413, sentence.format("…"))  # dense text takes more
    # an answer: two bytes of a text may become six
    big = pack_one("\x01" * (12 << 20))
    refused(bytes_tensor(big), 413, sentence.format("…"))
    assert infer(server.client, "texts", *bytes_tensor(pack_one("a" * (12 << 20)))).status == 200


def pack_one(text):
    return struct.pack("<I", len(text)) + text.encode()
