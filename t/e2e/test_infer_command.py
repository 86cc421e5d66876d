# SPDX-License-Identifier: MIT
"""`devserve infer`: what may be typed, what comes back, and numpy's files both ways."""

import json
import subprocess

import pytest

from devserve import BUILD, constant, devserve

numpy = pytest.importorskip("numpy")

TYPES = {"BOOL": "b1", "INT8": "i1", "UINT64": "u8", "INT64": "i8", "FP16": "f2", "FP32": "f4", "FP64": "f8"}


def echo(dtype, extents="-1, -1"):
    """X → Y, the same."""
    return f"""\
#include <string.h>
#include <devserve/deployment.h>

static int infer(const struct devserve_call *call)
{{
	memcpy(call->out[0].data, call->in[0].data, call->in[0].size);
	return 0;
}}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({{ "X", DEVSERVE_{dtype}, {{ {extents} }} }}),
	.outputs = DEVSERVE_TENSORS({{ "Y", DEVSERVE_{dtype}, {{ {extents} }} }}),
	.shape = DEVSERVE_SAME_SHAPE,
	.infer = infer,
)
"""


FAIL = constant(0).replace("	return 0;", '	return devserve_refuse(call, "no such luck");')

NOTHING = """\
#include <devserve/deployment.h>

static int infer(const struct devserve_call *call)
{
	*(int32_t *)call->out[0].data = 1;
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_INT32, { 1 } }),
	.infer = infer,
)
"""

EVIL = constant(0).replace("	return 0;", r'	return devserve_refuse(call, "no \033]0;owned\007\033[2Jluck\n");')


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One for all: a deployment for each datatype, and those that ship."""
    from devserve import Root, Server
    place = tmp_path_factory.mktemp("infer")
    root = Root(place / "plugins")
    for dtype in [*TYPES, "BF16"]:
        root.write(f"{dtype.lower()}/echo.c", echo(dtype))
    root.write("vector/echo.c", echo("FP32", "-1"))
    root.write("fails/fails.c", FAIL)
    root.write("evil/evil.c", EVIL)
    root.write("nothing/nothing.c", NOTHING)
    root.copy("simple", "tokenize")
    server = Server(root, log=place / "stderr").wait_listening().wait_ready()
    yield server
    server.stop()


@pytest.fixture
def infer(server, tmp_path):
    def run(*words, **options):
        return devserve("infer", *words, "--root", server.root.path, cwd=tmp_path, **options)
    run.root = str(server.root.path)
    return run


def outputs(run):
    assert run.returncode == 0 and not run.stderr, run
    return {o["name"]: o for o in json.loads(run.stdout)["outputs"]}


def answer(run):
    return outputs(run)["Y"]


@pytest.mark.parametrize("text, shape, data", [
    ("1,2,3", [3], [1, 2, 3]),
    ("-1.5", [1], [-1.5]),
    ("0..3", [4], [0, 1, 2, 3]),
    ("2..-1", [4], [2, 1, 0, -1]),
    ("7,0.5*3,1..2", [6], [7, 0.5, 0.5, 0.5, 1, 2]),
    ("[1,2]", [2], [1, 2]),
    ("", [0], []),
])
def test_numbers_are_typed_as_one_would(infer, text, shape, data):
    got = answer(infer("vector", f"X={text}", "--json"))
    assert (got["shape"], got["data"], got["datatype"]) == (shape, data, "FP32")
    if text:
        assert answer(infer("vector", text, "--json")) == got, "the name of the only input may be left out"


def test_a_shape_is_written_or_found(infer):
    assert answer(infer("fp32", "X=[[1,2,3],[4,5,6]]", "--json"))["shape"] == [2, 3]
    assert answer(infer("fp32", "X=1,2,3", "--json"))["shape"] == [1, 3]
    assert answer(infer("fp32", "X=[[],[]]", "--json"))["shape"] == [2, 0]
    got = outputs(infer("simple", "INPUT0=0..31", "INPUT1=1*32", "--json"))
    assert got["OUTPUT0"]["shape"] == [2, 16] and got["OUTPUT0"]["data"] == list(range(1, 33))


def test_text_is_bytes(infer, tmp_path):
    got = outputs(infer("tokenize", "TEXT=a  naïve test", "--json"))
    assert got["TOKENS"]["data"] == ["a", "naïve", "test"]
    assert outputs(infer("tokenize", '["a b","c"]', "--json"))["LENGTHS"]["data"] == [2, 1]
    (tmp_path / "text").write_text("from a file")
    assert outputs(infer("tokenize", "TEXT=@text", "--json"))["TOKENS"]["data"] == ["from", "a", "file"]


def test_a_request_comes_from_a_file_or_stdin(infer, tmp_path):
    (tmp_path / "short.json").write_text('{"X": [[1, 2], [3, 4]]}')
    (tmp_path / "long.json").write_text(
        '{"id": "7", "inputs": [{"name": "X", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]}]}')
    expected = answer(infer("fp32", "X=[[1,2],[3,4]]", "--json"))
    for name in ("short.json", "long.json"):
        assert answer(infer("fp32", "-r", name, "--json")) == expected
    run = subprocess.run([BUILD / "devserve", "infer", "fp32", "--request", "-", "--json", "--root",
                          infer.root],
                         input='{"X": [[1, 2], [3, 4]]}', capture_output=True, text=True)
    assert answer(run) == expected


@pytest.mark.parametrize("name", TYPES)
def test_arrays_of_numpy_go_in_and_come_out(infer, tmp_path, name):
    array = numpy.frombuffer(numpy.random.default_rng(1).bytes(24 * 8), TYPES[name])[:24].reshape(4, 6)
    if name == "BOOL":
        array = numpy.arange(24).reshape(4, 6) % 3 == 0
    numpy.save(tmp_path / "x.npy", numpy.asfortranarray(array))
    run = infer(name.lower(), "X=x.npy", "-o", "y.npy")
    assert run.returncode == 0 and f"Y  {name}[4,6]  written to y.npy" in run.stdout, run
    back = numpy.load(tmp_path / "y.npy")
    assert back.dtype == array.dtype and back.tobytes() == array.tobytes()
    piped = subprocess.run([BUILD / "devserve", "infer", name.lower(), "x.npy", "-o", "-", "--root",
                            infer.root], cwd=tmp_path, capture_output=True)
    assert piped.stdout == (tmp_path / "y.npy").read_bytes() and not piped.stderr


def test_brain_floats_are_written_as_floats(infer, tmp_path):
    array = numpy.array([[1, 2.5, -3.140625, 1e38]], "f4")
    numpy.save(tmp_path / "x.npy", array)
    run = infer("bf16", "x.npy", "-o", "y.npy")
    assert run.returncode == 0 and "as float32" in run.stdout
    back = numpy.load(tmp_path / "y.npy")
    assert back.dtype == numpy.float32 and numpy.allclose(back, array, rtol=2 ** -8)
    assert answer(infer("bf16", "X=1,0.5,-2", "--json"))["data"] == [1, 0.5, -2]


def test_halves_are_rounded_as_numpy_does(infer):
    values = [0.1, 65504, 65519, 65520, 6e-8, 2.9e-8, 2.98023224e-8, 6.1e-5, 1.0004883, 1.00048828125, -0.3]
    got = answer(infer("fp16", "X=" + ",".join(map(str, values)), "--json"))["data"]
    with numpy.errstate(over="ignore"):
        expected = numpy.array(values, "f4").astype("f2")
    got = numpy.array([numpy.inf if v is None else v for v in got])
    assert got.astype("f4").astype("f2").tobytes() == expected.tobytes()
    assert answer(infer("fp32", "X=1,2", "--json"))["data"] == [1, 2]


def test_what_is_not_finite_is_shown(infer, tmp_path):
    numpy.save(tmp_path / "x.npy", numpy.array([[numpy.nan, numpy.inf, -numpy.inf, -0.0]], "f4"))
    assert answer(infer("fp32", "x.npy", "--json"))["data"] == [None, None, None, -0.0]
    assert infer("fp32", "x.npy").stdout.split("\n")[3].split() == ["[0,0]", "nan", "inf", "-inf", "-0"]


def test_the_answer_is_aligned_and_says_which_generation_gave_it(infer):
    run = infer("simple", "INPUT0=0..15", "INPUT1=1*16")
    head, *lines = run.stdout.split("\n")
    assert head.startswith("simple  gen 1  ") and head.endswith(" ms")
    assert lines == ["", "OUTPUT0  INT32[1,16]",
                     "[0,0]    1   2   3   4   5   6   7   8   9  10  11  12  13  14  15  16",
                     "", "OUTPUT1  INT32[1,16]",
                     "[0,0]   -1   0   1   2   3   4   5   6   7   8   9  10  11  12  13  14", ""]
    assert max(map(len, run.stdout.split("\n"))) <= 80


def test_a_long_answer_is_cut_in_the_middle_unless_all_is_wanted(infer):
    short, long = infer("int64", "X=0..9999"), infer("int64", "X=0..9999", "--all")
    assert len(short.stdout.split("\n")) < 24 and "more lines; --all shows them" in short.stdout
    numbers = [int(n) for line in long.stdout.split("\n")[3:] for n in line.split()[1:]]
    assert numbers == list(range(10000))
    matrix = infer("int64", "X=" + json.dumps([[i * j for j in range(100)] for i in range(100)]))
    assert len(matrix.stdout.split("\n")) < 24 and max(map(len, matrix.stdout.split("\n"))) <= 80


def test_one_output_may_be_asked_for(infer):
    assert list(outputs(infer("simple", "INPUT0=0*16", "INPUT1=1*16", "--only", "OUTPUT1", "--json"))) == ["OUTPUT1"]


AS_JSON = """; text that begins with '[' or '@', or ends in .npy, is written as JSON: TEXT='["@..."]'"""


def test_text_that_looks_like_a_file_is_written_as_json(infer):
    for text in ("[draft] hello", "@alice hi", "see a.npy"):
        assert infer("tokenize", f"TEXT={json.dumps([text])}").returncode == 0, text
    assert '["@alice"]' in infer("--help").stdout


@pytest.mark.parametrize("words, sentence", [
    (["absent", "1"], "there is no deployment 'absent'; 'devserve status' lists them"),
    (["tokeniz", "1"], "there is no deployment 'tokeniz'; did you mean 'tokenize'?"),
    (["nothing", "5"], "'5' is too much: the deployment takes no input"),
    (["simple"], "INPUT0 is missing; what is wanted is INPUT0=INT32[-1,16] INPUT1=INT32[-1,16]"),
    (["simple", "1"], "'1' has no '=': what is wanted is INPUT0=INT32[-1,16] INPUT1=INT32[-1,16]"),
    (["simple", "INPTU0=1"], "there is no input 'INPTU0'; did you mean 'INPUT0'?"),
    (["simple", "INPUT0=1*15", "INPUT1=1*16"], "INPUT0 is INT32[-1,16]: it takes a multiple of 16 elements, not 15"),
    (["simple", "INPUT0=1.5*16", "INPUT1=1*16"], "INPUT0[0] is 1.5, no INT32"),
    (["vector", 'X=[1,"a"]'], 'X[1] is "a", no FP32'),
    (["int8", "X=[[1,2],[3,null]]"], "X[1][1] is null, no INT8"),
    (["simple", "INPUT0=3000000000*16", "INPUT1=1*16"], "INPUT0[0] is 3000000000, a number that INT32 can't hold"),
    (["simple", "INPUT0=1*16", "INPUT0=1*16"], "INPUT0: it is given twice"),
    (["simple", "INPUT0=1*16", "INPUT1=1*16", "-o", "y.npy"],
     "simple has several outputs; --only names the one to write: OUTPUT0 OUTPUT1"),
    (["simple", "INPUT0=1*16", "INPUT1=1*16", "--only", "OUTPUT"], "there is no output 'OUTPUT'; did you mean 'OUTPUT0'?"),
    (["fp32", "X=1,x"], "X: '1,x' is neither numbers with commas between nor JSON"),
    (["fp32", "X=0..99999999"], "X: '0..99999999' can't be expanded; write 0..15 or 1*16"),
    (["fp32", "X=[[1,2],[3]]"], "X[1] isn't as long as its neighbours"),
    (["fp32", "X=[[[1]]]"], "X is FP32[-1,-1], which a shape of [1,1,1] doesn't fit"),
    (["fp32", "X=absent.npy"], "X: absent.npy: No such file or directory"),
    (["fp32", "-r", "."], "cannot read .: Is a directory"),
    (["tokenize", "TEXT=[draft] hello"], "TEXT: '[draft] hello' is no JSON" + AS_JSON),
    (["tokenize", "TEXT=@alice hi"], "TEXT: alice hi: No such file or directory" + AS_JSON),
    (["tokenize", "TEXT=see a.npy"], "TEXT: see a.npy: No such file or directory" + AS_JSON),
    (["fp32", "X=f8.npy"], "X takes FP32, but f8.npy holds FP64; convert it with astype()"),
    (["fp32", "X=cube.npy"], "X is FP32[-1,-1], which a shape of [1,1,1] doesn't fit"),
    (["fp32", "X=lies.npy"], "X: lies.npy: its header promises 8 bytes of data, but there are 7"),
    (["fp32", "-r", "absent.json"], "cannot read absent.json: No such file or directory"),
    (["fp32", "-r", "list.json"], 'the request is no JSON object such as {"X": [1,2,3]}'),
    (["fp32", "-r", "scalar.json"], "X: an array is wanted: [1,2,3]"),
    (["fails", "1"], "fails (gen 1): no such luck"),
])
def test_what_does_not_fit_is_said_in_a_sentence(infer, tmp_path, words, sentence):
    numpy.save(tmp_path / "f8.npy", numpy.zeros((1, 2)))
    numpy.save(tmp_path / "cube.npy", numpy.zeros((1, 1, 1), "f4"))
    numpy.save(tmp_path / "lies.npy", numpy.zeros((1, 2), "f4"))
    (tmp_path / "lies.npy").write_bytes((tmp_path / "lies.npy").read_bytes()[:-1])
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "scalar.json").write_text('{"X": 1}')
    run = infer(*words)
    assert (run.returncode, run.stdout, run.stderr) == (1, "", f"devserve: {sentence}\n")


def test_a_failed_save_is_told_with_the_answer(root, serve):
    root.write("one/one.c", constant(10))
    server = serve()
    server.save("one/one.c", constant("1 +"))
    run = devserve("infer", "one", "1", "--root", root.path)
    assert run.returncode == 0 and "one  gen 1  " in run.stdout and "not the newest save: build-failed" in run.stdout
    run = devserve("infer", "one", "1", "--root", root.path, "--json")
    assert json.loads(run.stdout)["stale"] == "build-failed" and json.loads(run.stdout)["generation"] == 1


def test_without_a_server_it_is_69(tmp_path):
    run = devserve("infer", "one", "1", "--url", "http://127.0.0.1:1", cwd=tmp_path)
    assert run.returncode == 69 and run.stderr == "devserve: no server answers at http://127.0.0.1:1: Connection refused\n"


def test_what_a_deployment_chose_cannot_touch_the_terminal(infer):
    run = infer("evil", "1")
    assert run.returncode == 1 and run.stderr == "devserve: evil (gen 1): no luck\n", run


def test_an_output_that_is_written_to_a_file_is_not_printed_too(infer, tmp_path):
    run = infer("vector", "1,2", "-o", "y.npy", "--json")
    assert run.returncode == 0, run
    said = json.loads(run.stdout)
    assert said["written"] == "y.npy" and said["outputs"] == [{"name": "Y", "datatype": "FP32", "shape": [2]}]
    assert numpy.load(tmp_path / "y.npy").tolist() == [1, 2]
    assert "written" not in json.loads(infer("vector", "1,2", "--json").stdout)


@pytest.mark.parametrize("text, place", [
    ('{"X": [1,2}', " at line 1, column 11: "),
    ('{\n  "X": [1,2],\n  "Y": nul\n}', " at line 3, column 8: "),
    ('{"X": {"a": [1,2,[3,}]}}', " at line 1, column 21: "),
    ('{"X": [01]}', " at line 1, column 8: "),
    ('{"X": [1', ": "),
    ('{"X": "a', ": "),
    ("", ": "),
])
def test_a_request_that_is_no_json_is_told_where(infer, tmp_path, text, place):
    (tmp_path / "request.json").write_text(text)
    run = infer("vector", "-r", "request.json")
    assert run.returncode == 1 and run.stderr.startswith("devserve: the request is no JSON" + place), run
