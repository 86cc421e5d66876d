# SPDX-License-Identifier: MIT
"""Random requests, right and wrong, against what numpy says.

Each request is made from a seed and its number alone, which a failure names:
`DEVSERVE_SEED=7 DEVSERVE_CASE=123 pytest …` makes that one again.
"""

import json
import os
import random
import struct

import numpy as np
import pytest

from devserve import LONG, Client, Root, Server

# T_LONG tries others each time; pytest shows the number of what failed.
SEED = int(os.environ.get("DEVSERVE_SEED", random.SystemRandom().randrange(10**6) if LONG else 1))
ONE = os.environ.get("DEVSERVE_CASE")
CASES = [int(ONE)] if ONE else range(40_000 if LONG else 1_000)

# name, datatype, C's type, what the deployment does with each element x
KINDS = [("BOOL", "uint8_t", "!x", np.uint8), ("UINT8", "uint8_t", "x + x", np.uint8),
         ("UINT16", "uint16_t", "x + x", np.uint16), ("UINT32", "uint32_t", "x + x", np.uint32),
         ("UINT64", "uint64_t", "x + x", np.uint64), ("INT8", "int8_t", "~x", np.int8),
         ("INT16", "int16_t", "~x", np.int16), ("INT32", "int32_t", "~x", np.int32),
         ("INT64", "int64_t", "~x", np.int64), ("FP32", "float", "x * 0.5f", np.float32),
         ("FP64", "double", "x * 0.5", np.float64), ("FP16", "uint16_t", "x ^ 0x8000", np.uint16),
         ("BF16", "uint16_t", "x ^ 0x8000", np.uint16)]
NUMPY = {name: dtype for name, _, _, dtype in KINDS}
IN_JSON = [k[0] for k in KINDS if k[0] not in ("FP16", "BF16")]

ELEMENTWISE = """\
#include <devserve/deployment.h>

#define EACH(type, index, result)                                              \\
	for (uint64_t i = 0; i < call->in[index].size / sizeof(type); i++) {    \\
		type x = ((const type *)call->in[index].data)[i];               \\
		((type *)call->out[index].data)[i] = (type)(result);            \\
	}

static int infer(const struct devserve_call *call)
{
%s
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS(%s),
	.outputs = DEVSERVE_TENSORS(%s),
	.shape = DEVSERVE_SAME_SHAPE,%s
	.infer = infer,
)
"""

WORDS = """\
#include <devserve/deployment.h>

/* All texts, each with its length in UNITS. */
static int infer(const struct devserve_call *call)
{
	int64_t n = devserve_dim(&call->in[0], 0);
	uint64_t *units = devserve_make(call, 1, n);
	struct devserve_bytes text;

	if (!units)
		return -1;
	for (size_t at = 0; devserve_next(&call->in[0], &at, &text); units++) {
		*units = text.size;
		if (devserve_append(call, 0, text.data, text.size) < 0)
			return -1;
	}
	return devserve_make(call, 0, n) ? 0 : -1;
}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "TEXT", DEVSERVE_BYTES, { -1 } }),
	.outputs = DEVSERVE_TENSORS({ "SAME", DEVSERVE_BYTES, { -1 } }, { "UNITS", DEVSERVE_UINT64, { -1 } }),
	.infer = infer,
)
"""


def elementwise(shape, batch):
    def ports(prefix):
        return ", ".join(f'{{ "{prefix}{name}", DEVSERVE_{name}, {{ {shape} }} }}' for name, _, _, _ in KINDS)

    loops = "\n".join(f"\tEACH({c}, {i}, {result})" for i, (_, c, result, _) in enumerate(KINDS))
    return ELEMENTWISE % (loops, ports("X_"), ports("Y_"), f"\n\t.max_batch_size = {batch}," if batch else "")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    path = tmp_path_factory.mktemp("random")
    root = Root(path / "plugins")
    root.write("batched.c", elementwise("-1", 8))
    root.write("matrices.c", elementwise("-1, 3", 0))
    root.write("words.c", WORDS)
    server = Server(root, log=path / "stderr").wait_listening().wait_ready()
    pids = {name: server.worker_pids(name) for name in ("batched", "matrices", "words")}
    yield server
    assert pids == {name: server.worker_pids(name) for name in pids} and server.stop() == 0


# Right requests

def array(chance, kind, shape):
    """Random values, those at the edges more often than others."""
    dtype, n = np.dtype(NUMPY[kind]), int(np.prod(shape, dtype=np.int64))
    if kind == "BOOL":
        return np.array([chance.randrange(2) for _ in range(n)], dtype).reshape(shape)
    if dtype.kind == "f":
        values = [chance.choice([0.0, -0.0, 1.0, -0.1, 1e-45, 5e-324, 1e30, float(np.finfo(dtype).max),
                                 chance.uniform(-1, 1), chance.gauss(0, 1e6)]) for _ in range(n)]
        return np.array(values, np.float64).astype(dtype).reshape(shape)
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    values = [chance.choice([low, high, 0, 1, high // 2 + 1, chance.randint(low, high)]) for _ in range(n)]
    return np.array(values, dtype).reshape(shape)


def expected(kind, x):
    if kind == "BOOL":
        return 1 - x
    if x.dtype.kind == "f":
        return x * x.dtype.type(0.5)
    return ~x if x.dtype.kind == "i" else x ^ np.uint16(0x8000) if kind in ("FP16", "BF16") else x + x


def pack(texts):
    return b"".join(struct.pack("<I", len(t)) + t for t in texts)


class Request:
    """One request: `tensors` go in, `answers` come out; then its JSON and the bytes behind it."""

    def __init__(self, chance):
        self.chance = chance
        self.name = chance.choice(["batched", "batched", "matrices", "words"])
        if self.name == "words":
            self.words()
        else:
            self.elements()
        self.compose()

    def words(self):
        alphabet = ["", "a", "\0", '"', "\\", "\n", "é", "四", "🙂", "\x7f", "x" * 300]
        texts = ["".join(self.chance.choices(alphabet, k=self.chance.randrange(6))).encode()
                 for _ in range(self.chance.choice([0, 1, 2, 17]))]
        self.tensors = {"TEXT": ("BYTES", (len(texts),), texts)}
        self.answers = {"SAME": ("BYTES", (len(texts),), texts),
                        "UNITS": ("UINT64", (len(texts),), np.array([len(t) for t in texts], np.uint64))}

    def elements(self):
        first, rows = self.chance.randint(1, 8), self.chance.choice([0, 1, 2, 5, 40])
        self.tensors, self.answers = {}, {}
        for kind, _, _, _ in KINDS:
            shape = (first, self.chance.randrange(9)) if self.name == "batched" else (rows, 3)
            x = array(self.chance, kind, shape)
            self.tensors[f"X_{kind}"] = (kind, shape, x)
            self.answers[f"Y_{kind}"] = (kind, shape, expected(kind, x))

    def compose(self):
        chance, inputs, self.tail = self.chance, [], b""
        for name in chance.sample(list(self.tensors), len(self.tensors)):
            kind, shape, x = self.tensors[name]
            entry = {"name": name, "datatype": kind, "shape": list(shape)}
            if kind in ("FP16", "BF16") or chance.random() < 0.4:
                content = pack(x) if kind == "BYTES" else x.tobytes()
                entry["parameters"] = {"binary_data_size": len(content)}
                self.tail += content
            else:
                entry["data"] = self.data(kind, x)
            inputs.append(dict(chance.sample(list(entry.items()), len(entry))))
        self.json = {"inputs": inputs, **self.wishes()}
        if chance.random() < 0.5:
            self.id = self.json["id"] = chance.choice(["", "7", "é\0\n", "i" * 1024])
        if chance.random() < 0.1:
            self.json["unknown"] = [{"deep": [1, {}]}]

    def data(self, kind, x):
        if kind == "BYTES":
            return [t.decode() for t in x]
        values = x.astype(bool) if kind == "BOOL" and self.chance.random() < 0.5 else x
        flat = self.chance.random() < 0.5
        return (values.ravel() if flat else values).tolist()

    def wishes(self):
        """Which outputs, and in which form; JSON can't say all of them."""
        chance, wishes = self.chance, {}
        default = chance.random() < 0.5
        if default or chance.random() < 0.3:
            wishes["parameters"] = {"binary_data_output": default, "priority": 1}
        names = chance.sample(list(self.answers), chance.randint(0, len(self.answers)))
        self.wanted = {}
        if not names and default:
            self.wanted = {name: True for name in self.answers}
            return wishes
        outputs = []
        for name in names or list(self.answers):
            binary = chance.random() < 0.5 or self.answers[name][0] in ("FP16", "BF16")
            parameters = {"binary_data": binary} if binary != default or chance.random() < 0.5 else {}
            outputs.append({"name": name, "parameters": parameters} if parameters else {"name": name})
            self.wanted[name] = binary
        return {**wishes, "outputs": outputs}

    def bytes(self):
        return json.dumps(self.json, ensure_ascii=self.chance.random() < 0.5).encode()

    def send(self, client, head=None, tail=None, json_size=None):
        """As one piece, or in chunks of any size."""
        head = self.bytes() if head is None else head
        body = head + (self.tail if tail is None else tail)
        size = len(head) if json_size is None else json_size
        headers = {"Inference-Header-Content-Length": str(size)} if len(body) > len(head) or json_size is not None else {}
        path = f"/v2/models/{self.name}/infer"
        if self.chance.random() < 0.7 or not body:
            return client.call("POST", path, body, headers)
        return client.call("POST", path, body, headers, chunks=self.cut(body))

    def cut(self, body):
        pieces = []
        while body:
            n = self.chance.choice([1, 7, 64, 4096, 100_000])
            pieces.append(body[:n])
            body = body[n:]
        return pieces

    def check(self, answer):
        assert answer.status == 200, answer
        size = int(answer.headers.get("Inference-Header-Content-Length", len(answer.body)))
        said, tail = json.loads(answer.body[:size]), answer.body[size:]
        assert said.get("id", "") == self.json.get("id", "") and said["model_name"] == self.name
        assert [o["name"] for o in said["outputs"]] == list(self.wanted)
        for output in said["outputs"]:
            kind, shape, want = self.answers[output["name"]]
            assert output["datatype"] == kind and output["shape"] == list(shape)
            if self.wanted[output["name"]]:
                n = output["parameters"]["binary_data_size"]
                assert tail[:n] == (pack(want) if kind == "BYTES" else want.tobytes()), output
                tail = tail[n:]
            elif kind == "BYTES":
                assert output["data"] == [t.decode() for t in want]
            else:
                got = np.array(output["data"], np.float64 if want.dtype.kind == "f" else want.dtype)
                assert got.astype(want.dtype).tobytes() == want.tobytes(), (output, want)
        assert not tail


# Wrong ones

def pick(chance, request, *, data=False):
    """One of the inputs; with data: one that has some as JSON."""
    fitting = [i for i in request.json["inputs"] if not data or i.get("data")]
    return chance.choice(fitting) if fitting else None


NO_KIND = [None, 7, "x", {}, [[]]]


def wrong_member(chance, request):
    entry = pick(chance, request)
    member = chance.choice(["name", "datatype", "shape"])
    entry[member] = chance.choice([v for v in NO_KIND if not (member == "shape" and isinstance(v, list))] + [[-1]])


def missing_member(chance, request):
    entry = pick(chance, request)
    del entry[chance.choice(["name", "datatype", "shape"])]


def missing_input(chance, request):
    request.json["inputs"].remove(pick(chance, request))


def double_input(chance, request):
    request.json["inputs"].append(pick(chance, request))


def other_name(chance, request):
    entry = pick(chance, request)
    entry["name"] = chance.choice(["", entry["name"] + "\0", entry["name"][:-1], "n" * 100_000, "\ud7ff\n"])


def other_datatype(chance, request):
    entry = pick(chance, request)
    entry["datatype"] = chance.choice([d for d in NUMPY if d != entry["datatype"]] + ["int32", "", "FP32\0"])


def other_shape(chance, request):
    entry = pick(chance, request)
    shape = entry["shape"]
    shape[chance.randrange(len(shape))] = chance.choice([-1, 2**31, 2**62, 2**63, 2**64, 1.5, "1", None, [1]])


def other_rank(chance, request):
    pick(chance, request)["shape"] += [1] * chance.randint(1, 9)


def other_element(chance, request):
    entry = pick(chance, request, data=True)
    if not entry:
        return False
    row = entry["data"]
    while isinstance(row[0], list) and row[0]:
        row = chance.choice(row)
    at = chance.randrange(len(row))
    wrong = [None, {}, [[[1]]], [[]]] + ([1, True] if entry["datatype"] == "BYTES" else ["1"])
    if "INT" in entry["datatype"]:
        wrong += [0.5, True, 2**64, -2**63 - 1, 1e300, "-Infinity"]
    row[at] = chance.choice(wrong)


def ragged(chance, request):
    entry = pick(chance, request, data=True)
    if not entry or 0 in entry["shape"]:  # of one row of nothing, no row is left: as good
        return False
    row = entry["data"]
    row.append(row[0]) if chance.random() < 0.5 else row.pop()


def other_size(chance, request):
    fitting = [i for i in request.json["inputs"] if "data" not in i]
    if not fitting:
        return False
    entry = chance.choice(fitting)
    size = entry["parameters"]["binary_data_size"]
    entry["parameters"]["binary_data_size"] = chance.choice([size + 1, -1, -size - 1, "8", None, 2**63, 2**64 - 1, 1e300])


def two_sources(chance, request):
    entry = pick(chance, request)
    entry.setdefault("data", [])
    entry.setdefault("parameters", {}).setdefault("binary_data_size", 0)


def wrong_parameters(chance, request):
    where = chance.choice([request.json, pick(chance, request)])
    where["parameters"] = chance.choice([[], 1, "x", {"a": None}, {"a": {}}, {"triton_a": 1}])


def wrong_outputs(chance, request):
    request.json["outputs"] = chance.choice([{}, 1, [1], [None], [{}], [{"name": 1}], [{"name": "NOPE"}],
                                             [{"name": next(iter(request.answers)), "parameters": []}]])


def wrong_id(chance, request):
    request.json["id"] = chance.choice([1, True, [], {}, "i" * 1025])


WRONG = [wrong_member, missing_member, missing_input, double_input, other_name, other_datatype, other_shape,
         other_rank, other_element, ragged, other_size, two_sources, wrong_parameters, wrong_outputs, wrong_id]


def cut_text(chance, request):
    text = request.bytes()
    return {"head": text[:chance.randrange(1, len(text))]}


def longer_tail(chance, request):
    return {"tail": request.tail + bytes(chance.randint(1, 100)), "head": request.bytes()}


def shorter_tail(chance, request):
    return {"tail": request.tail[:chance.randrange(len(request.tail))]} if request.tail else None


def lying_header(chance, request):
    text = request.bytes()
    return {"head": text, "json_size": chance.choice([1, len(text) - 1, len(text) + len(request.tail) + 1, 2**63])}


WRONG_BYTES = [cut_text, longer_tail, shorter_tail, lying_header]


def check_refusal(answer):
    """413: nothing is wrong with a size but that no memory here could ever hold it."""
    assert answer.status == 400 or (answer.status == 413 and "--max-" in answer.json["error"]), answer
    assert list(answer.json) == ["error"] and len(answer.json["error"]) > 10 and len(answer.body) < 2000, answer


def case(number):
    return random.Random(f"{SEED} {number}")


@pytest.fixture(scope="module")
def client(server):
    client = Client(server.url)
    yield client
    client.close()


def test_what_numpy_says_is_the_answer(client):
    print("seed", SEED)
    for number in CASES:
        print("case", number)
        request = Request(case(number))
        request.check(request.send(client))


def test_what_is_wrong_is_refused_and_the_connection_serves_on(client):
    print("seed", SEED)
    for number in CASES:
        chance = case(number)
        request, wrong = Request(chance), chance.choice(WRONG)
        print("case", number, wrong.__name__)
        if wrong(chance, request) is not False:
            check_refusal(request.send(client))
        if number % 10 == 0:
            after = Request(chance)
            after.check(after.send(client))


def test_bytes_that_are_cut_or_too_many_are_refused(client):
    print("seed", SEED)
    for number in CASES[::4]:
        chance = case(number)
        request, wrong = Request(chance), chance.choice(WRONG_BYTES)
        print("case", number, wrong.__name__)
        parts = wrong(chance, request)
        if parts:
            check_refusal(request.send(client, **parts))


def test_bytes_that_were_changed_are_answered_or_refused(client):
    print("seed", SEED)
    for number in CASES[::2]:
        chance = case(number)
        request = Request(chance)
        print("case", number)
        text = bytearray(request.bytes())
        for _ in range(chance.randint(1, 4)):
            text[chance.randrange(len(text))] = chance.randrange(256)
        answer = request.send(client, head=bytes(text))
        assert answer.status in (200, 400), answer
        if answer.status == 400:
            check_refusal(answer)
    request = Request(case(0))
    request.check(request.send(client))
