# SPDX-License-Identifier: MIT
"""The last requests of a deployment: which are kept, what becomes of them as files, and once more."""

import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import threading
import time

import numpy
import pytest

from devserve import BUILD, PATIENCE, constant, devserve, deployment, x

# X FP32[-1] → Y FP32[-1], 2x; Z INT64[1], how many there are.
TWICE = """\
#include <devserve/deployment.h>
#include <unistd.h>

static int infer(const struct devserve_call *call)
{
	size_t n = devserve_count(&call->in[0]);
	const float *x = call->in[0].data;
	float *y = devserve_make(call, 0, (int64_t)n);

	if (access("FLAG", F_OK) == 0)
		*(volatile int *)8 = 1;
	for (size_t i = 0; i < n; i++)
		y[i] = 2 * x[i] + (i == 2 && access("OFF", F_OK) == 0);
	*(int64_t *)call->out[1].data = (int64_t)n;
	return 0;
}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP32, { -1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_FP32, { -1 } }, { "Z", DEVSERVE_INT64, { 1 } }),
	.infer = infer,
)
"""


def ask(server, values):
    values = list(values)
    answer = server.infer("twice", {"inputs": [{"name": "X", "datatype": "FP32", "shape": [len(values)],
                                                "data": values}]})
    assert answer.status == 200, answer
    return answer


@pytest.fixture
def twice(root, serve, tmp_path):
    root.write("twice/twice.c", TWICE.replace("FLAG", f"{tmp_path}/flag").replace("OFF", f"{tmp_path}/off"))
    return serve()


def command(root, *args):
    return devserve(*args, "--root", root.path)


def listed(root, name="twice"):
    result = command(root, "record", name, "--list", "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)["recordings"]


def cases(directory):
    return sorted(p.parent for p in directory.glob("*/case.json"))


def test_recordings_say_what_was_asked_and_by_whom_it_was_answered(twice, root):
    ask(twice, [1, 2, 3])
    ask(twice, range(5))
    newest, first = listed(root)
    assert (first["id"], first["generation"], first["deployment"]) == (1, 1, "twice")
    assert first["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [3], "bytes": 12}]
    assert [(o["name"], o["shape"]) for o in first["outputs"]] == [("Y", [3]), ("Z", [1])]
    assert newest["id"] == 2 and newest["inputs"][0]["shape"] == [5]


def test_a_shape_that_came_once_stays_however_often_another_comes(twice, root):
    ask(twice, range(7))
    for i in range(300):
        ask(twice, [i, i])
    shapes = [r["inputs"][0]["shape"] for r in listed(root)]
    assert [7] in shapes and len(shapes) == 64


def test_golden_cases_are_files_that_numpy_reads(twice, root):
    ask(twice, [1, 2, 3])
    result = command(root, "record", "twice")
    assert result.returncode == 0, result.stderr
    [case] = cases(root.path / "twice/golden")
    assert re.fullmatch("3-[0-9a-f]{8}", case.name)
    assert numpy.load(case / "in/X.npy").tolist() == [1, 2, 3]
    assert numpy.load(case / "out/Y.npy").tolist() == [2, 4, 6]
    assert numpy.load(case / "out/Z.npy").tolist() == [3]
    tolerance = json.loads((case / "case.json").read_text())["tolerance"]
    assert tolerance == {"Y": {"rtol": 1.3e-6, "atol": 1e-5}}


def test_the_same_request_makes_no_second_case_and_leaves_a_changed_one_alone(twice, root):
    ask(twice, [1, 2, 3])
    command(root, "record", "twice")
    [case] = cases(root.path / "twice/golden")
    (case / "case.json").write_text("{}")
    ask(twice, [1, 2, 3])
    result = command(root, "record", "twice")
    assert result.returncode == 0 and "is there already" in result.stdout
    assert cases(root.path / "twice/golden") == [case]
    assert (case / "case.json").read_text() == "{}"


def test_one_recording_or_so_many_go_where_one_says(twice, root, tmp_path):
    for n in range(1, 6):
        ask(twice, range(n))
    assert command(root, "record", "twice", "--count", "2", "--out", tmp_path / "two").returncode == 0
    assert sorted(c.name[0] for c in cases(tmp_path / "two")) == ["4", "5"]
    result = command(root, "record", "twice", "--id", "3", "--out", tmp_path / "one", "--json")
    [case] = cases(tmp_path / "one")
    assert json.loads(result.stdout) == {"written": [str(case)], "differing": []} and case.name.startswith("3-")


def test_large_calls_are_recorded_to_the_last_byte(twice, root, tmp_path):
    n = 1 << 20
    bits = numpy.random.default_rng(7).integers(0, 1 << 20, n).astype("float32")
    head = json.dumps({"inputs": [{"name": "X", "datatype": "FP32", "shape": [n],
                                   "parameters": {"binary_data_size": 4 * n}}],
                       "parameters": {"binary_data_output": True}}).encode()
    answer = twice.new_client().call("POST", "/v2/models/twice/infer", head + bits.tobytes(),
                                     {"Inference-Header-Content-Length": str(len(head))})
    assert answer.status == 200
    while 1 not in [r["id"] for r in listed(root)]:  # it is being copied
        ask(twice, [1, 2])
    assert command(root, "record", "twice", "--id", "1", "--out", tmp_path).returncode == 0
    [case] = cases(tmp_path)
    assert (numpy.load(case / "in/X.npy") == bits).all()
    assert (numpy.load(case / "out/Y.npy") == 2 * bits).all()


def test_requests_that_were_joined_are_recorded_as_the_call_that_ran(root, serve, tmp_path):
    root.write("pair.c", """\
#include <devserve/deployment.h>
static int infer(const struct devserve_call *call)
{
	for (uint32_t i = 0; i < 2 * call->batch; i++)
		((float *)call->out[0].data)[i] = ((const float *)call->in[0].data)[i] + (float)call->batch;
	return 0;
}
DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP32, { 2 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_FP32, { 2 } }),
	.max_batch_size = 2,
	.max_queue_delay_microseconds = 5000000,
	.infer = infer,
)
""")
    server = serve()
    threads = [threading.Thread(target=lambda i=i: server.new_client().infer("pair", {"inputs": [
        {"name": "X", "datatype": "FP32", "shape": [1, 2], "data": [i, 10 * i]}]})) for i in (1, 2)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    [recording] = listed(root, "pair")
    assert recording["batch"] == 2 and recording["inputs"][0]["shape"] == [2, 2]
    command(root, "record", "pair", "--out", tmp_path / "cases")
    [case] = cases(tmp_path / "cases")
    inputs = numpy.load(case / "in/X.npy")
    assert sorted(inputs.tolist()) == [[1, 10], [2, 20]]
    assert (numpy.load(case / "out/Y.npy") == inputs + 2).all()


def test_what_was_recorded_for_other_inputs_is_not_shown(twice, root):
    ask(twice, [1, 2, 3])
    twice.save("twice/twice.c", constant(7), "twice")
    assert listed(root) == []
    assert twice.infer("twice", x(1)).value == 7
    assert len(listed(root)) == 1


def test_nothing_is_recorded_where_there_is_no_memory_for_it(root, serve):
    root.write("seven.c", constant(7))
    server = serve("--max-recordings", "0")
    assert server.infer("seven", x(1)).value == 7
    assert listed(root, "seven") == []
    result = command(root, "record", "seven", "--list")
    assert result.returncode == 1 and "nothing was recorded for seven yet" in result.stderr


DOUBLED = """
#include <devserve/deployment.h>
static int infer(const struct devserve_call *call)
{
	for (size_t i = 0; i < devserve_count(&call->in[0]); i++)
		((float *)call->out[0].data)[i] = 2 * ((const float *)call->in[0].data)[i];
	return 0;
}
DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "X", DEVSERVE_FP32, { -1 } }),
	.outputs = DEVSERVE_TENSORS({ "Y", DEVSERVE_FP32, { -1 } }),
	.shape = DEVSERVE_SAME_SHAPE,
	.infer = infer,
)
"""


def list_large(root):
    """Those there are when a thread has copied the last one."""
    deadline = time.monotonic() + PATIENCE
    while not (found := listed(root, "doubled")) and time.monotonic() < deadline:
        pass
    return found


def ask_large(server, kib):
    """A call that takes so much, half of it the input."""
    n = kib * 1024 // 8
    json_part = json.dumps({"inputs": [{"name": "X", "datatype": "FP32", "shape": [n], "parameters": {"binary_data_size": 4 * n}}],
                            "outputs": [{"name": "Y", "parameters": {"binary_data": True}}]}).encode()
    answer = server.client.call("POST", "/v2/models/doubled/infer", json_part + numpy.full(n, 3, "<f4").tobytes(),
                                {"Inference-Header-Content-Length": str(len(json_part))})
    assert answer.status == 200, answer


def test_a_call_that_takes_most_of_the_memory_proves_and_times_saves(root, serve):
    root.write("doubled/doubled.c", DOUBLED)
    server = serve("--max-recordings", "1M", env={"DEVSERVE_GATE": "replay"})
    ask_large(server, 900)
    [recording] = list_large(root)
    assert recording["inputs"][0]["bytes"] == 900 * 512
    mark = server.mark()
    done = server.save("doubled/doubled.c", DOUBLED.replace("2 * ", "2.5f * "))
    assert done["outcome"] == "trial-failed" and "Y[0] is 7.5 and was 6" in done["reason"], done
    done = server.save("doubled/doubled.c", DOUBLED.replace("\tfor", "\tvolatile float two = 2;\n\n\tfor").replace("= 2 *", "= two *"))
    assert done["outcome"] == "swapped" and done["proof"]["requests"] == 1, done
    assert server.wait("verdict", mark, deployment="doubled")["inputs"][0]["input"] == "X FP32[115200]"
    assert "unrecorded" not in server.status()["deployments"][0]


def test_a_call_that_is_too_large_to_be_recorded_is_told_with_what_mends_it(root, serve):
    root.write("doubled/doubled.c", DOUBLED)
    server = serve("--max-recordings", "1M")
    for _ in range(2):
        ask_large(server, 3 * 1024)
    told = server.wait("notice", deployment="doubled")["reason"]
    assert told == ("a call of 3 MiB, with its answer, can't be recorded, so no save is proved or timed by such calls; "
                    "start devserve with --max-recordings 4M")
    assert len(server.seen("notice", deployment="doubled")) == 1
    assert f"doubled: {told}" in " ".join(command(root, "status").stdout.split())
    refused = command(root, "record", "doubled")
    assert refused.returncode == 1 and f"nothing was recorded for doubled: {told}" in refused.stderr
    server.stop()
    server = serve("--max-recordings", "4M")
    ask_large(server, 3 * 1024)
    assert len(list_large(root)) == 1
    assert not server.seen("notice", deployment="doubled")


def private_memory(server):
    """Bytes that the server has for itself: what it shares with workers isn't in it."""
    status = pathlib.Path(f"/proc/{server.run_json()['pid']}/status").read_text()
    return 1024 * int(re.search(r"RssAnon:\s+(\d+)", status)[1])


def test_a_large_recording_is_sent_from_where_it_lies(root, serve):
    """Also while its deployment goes."""
    root.write("doubled/doubled.c", DOUBLED)
    server = serve()
    ask_large(server, 40 * 1024)
    [recording] = list_large(root)
    before, token = private_memory(server), server.run_json()["token"]
    server.client.connection.request("GET", f"/-/recording?id={recording['id']}", headers={"Authorization": f"Bearer {token}"})
    answer = server.client.connection.getresponse()
    head = answer.readline()
    assert private_memory(server) - before < 16 << 20
    mark = server.mark()
    shutil.rmtree(root.path / "doubled")
    server.wait("deployment.removed", mark, deployment="doubled")
    rest = answer.read()
    assert json.loads(head)["inputs"][0]["bytes"] == 20 << 20 == len(rest) // 2
    assert (numpy.frombuffer(rest, "<f4") == numpy.repeat([3, 6], 5 << 20)).all()


def test_replay_runs_it_again_without_the_server(twice, root):
    ask(twice, [1, 2, 3])
    first = command(root, "replay", "1")
    assert first.returncode == 0, first.stderr
    assert "Y  FP32[3]  the same" in first.stdout and "Z  INT64[1]  the same" in first.stdout
    twice.stop()
    again = command(root, "replay", "1", "--json")
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    assert told["outcome"] == "same" and [o["elements"] for o in told["outputs"]] == [3, 1]


def test_replay_says_which_element_is_another(twice, root, tmp_path):
    ask(twice, [1, 2, 3])
    command(root, "replay", "1")
    (tmp_path / "off").touch()
    result = command(root, "replay", "1")
    assert result.returncode == 1
    assert "1 of 3 elements is off; the worst at [2]: expected 6, got 7" in result.stdout
    told = json.loads(command(root, "replay", "1", "--json").stdout)
    assert [o["outcome"] for o in told["outputs"]] == ["differs", "same"]


def test_replay_takes_the_tolerances_of_a_golden_case(twice, root, tmp_path):
    ask(twice, [1, 2, 3])
    command(root, "replay", "1")
    (tmp_path / "off").touch()
    golden = root.path / ".devserve/cases/1/golden.json"
    golden.write_text(json.dumps({"tolerance": {"Y": {"rtol": 0, "atol": 1}}}))
    result = command(root, "replay", "1")
    assert result.returncode == 0, result.stderr
    assert "Y  FP32[3]  within the tolerance; the largest difference is 1" in result.stdout
    golden.write_text(json.dumps({"tolerance": {"Y": {"rtol": 0, "atol": 0.99}}}))
    assert command(root, "replay", "1").returncode == 1


def test_replay_tells_of_a_crash(twice, root, tmp_path):
    ask(twice, [1, 2, 3])
    command(root, "replay", "1")
    (tmp_path / "flag").touch()
    result = command(root, "replay", "1")
    assert result.returncode == 1
    assert "crashed: it wrote through a null pointer in infer (twice.c:11: *(volatile int *)8 = 1;)" in result.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_replay_that_hangs_ends_with_the_command_and_leaves_nothing(root, serve, tmp_path, number):
    flag, fifo = tmp_path / "flag", tmp_path / "fifo"
    os.mkfifo(fifo)
    root.write("hang.c", deployment(f"""\
	if (access("{flag}", F_OK) == 0) {{
		FILE *f = fopen("{fifo}", "w");

		fprintf(f, "%d\\n", (int)getpid());
		fclose(f);
		for (;;)
			*(volatile int32_t *)y = x;
	}}
	*y = x;""", "#include <stdio.h>\n#include <unistd.h>"))
    serve().infer("hang", x(1))
    assert command(root, "replay", "1").returncode == 0
    flag.touch()
    process = subprocess.Popen([BUILD / "devserve", "replay", "1", "--root", root.path], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    worker = int(fifo.read_text())
    pidfd = os.pidfd_open(worker)
    words = pathlib.Path(f"/proc/{worker}/cmdline").read_bytes().decode().split("\0")
    [got] = [pathlib.Path(w.removeprefix("got=")) for w in words if w.startswith("got=")]
    assert got.is_dir()
    process.send_signal(number)
    assert process.wait(PATIENCE) == -number
    assert select.select([pidfd], [], [], PATIENCE)[0], "the worker goes on"
    os.close(pidfd)
    assert number == signal.SIGKILL or not got.exists()
    shutil.rmtree(got, ignore_errors=True)


def refuse(server, text):
    mark = server.mark()
    server.root.rename_over("twice/twice.c", text)
    event = server.wait("trial.failed", mark)  # a golden case that was written may end in a save.done, too
    return {**event["proof"]["fault"], "reason": event["reason"]}


@pytest.fixture
def proved(root, serve):
    """A server with the whole gate, whose deployment has been asked for [1, 2, 3]."""
    root.write("twice/twice.c", TWICE)
    server = serve("--gate", "replay")
    ask(server, [1, 2, 3])
    return server


def test_what_a_save_crashed_on_is_kept_with_the_image_that_crashed(proved, root):
    fault = refuse(proved, TWICE.replace("if (access(", "if (n == 3 || access("))
    assert fault["replay"] == fault["request"] == 1
    result = command(root, "replay", fault["replay"])
    assert result.returncode == 1, result
    assert "crashed: it wrote through a null pointer in infer (twice.c:11" in result.stdout
    assert f"kept because: {fault['reason'].splitlines()[0]}" in result.stdout
    assert json.loads((root.path / ".devserve/cases/1/case.json").read_text())["sentence"] == fault["reason"]


def test_what_a_save_left_unwritten_is_not_the_same_in_a_replay(proved, root):
    ask(proved, [0, 0])
    fault = refuse(proved, TWICE.replace("i < n; i++", "i < n && x[i] != 0; i++"))
    assert "infer() left it unwritten" in fault["reason"]
    result = command(root, "replay", fault["replay"])
    assert result.returncode == 1 and "Y  FP32[2]  2 of 2 elements are off" in result.stdout, result
    assert "expected 0, got -nan" in result.stdout, result


def test_what_was_answered_before_an_acceptance_becomes_a_golden_case_only_by_its_number(proved, root):
    ask(proved, range(5))
    refuse(proved, TWICE.replace("2 * x[i]", "3 * x[i]"))
    assert command(root, "accept", "twice").returncode == 0
    result = command(root, "record", "twice")
    assert result.returncode == 1 and "nothing was recorded for twice yet that is still answered so" in result.stderr
    assert "(is another answer now)" in command(root, "record", "twice", "--list").stdout
    assert [r["counts"] for r in listed(root)] == [False, False]

    assert ask(proved, [1, 2, 3]).output("Y") == [3, 6, 9]
    assert command(root, "record", "twice").returncode == 0
    [case] = cases(root.path / "twice/golden")
    assert numpy.load(case / "out/Y.npy").tolist() == [3, 6, 9]
    result = command(root, "record", "twice", "--id", 1)
    assert result.returncode == 0 and "expects another answer than recording 1" in result.stdout, result
    assert json.loads(command(root, "record", "twice", "--id", 1, "--json").stdout)["differing"] == [str(case)]
    assert numpy.load(case / "out/Y.npy").tolist() == [3, 6, 9]


def test_what_another_save_answers_otherwise_takes_its_place(proved, root):
    refuse(proved, TWICE.replace("if (access(", "if (n == 3 || access("))
    command(root, "replay", 1)
    fault = refuse(proved, TWICE.replace("2 * x[i]", "2 * x[i] + (i == 1)"))
    while "worst at [1]: expected 4, got 5" not in (result := command(root, "replay", fault["replay"])).stdout:
        assert "crashed" in result.stdout  # it is being written


def test_the_trial_the_replay_and_a_shadow_name_the_same_element_the_worst(proved, root):
    worse = TWICE.replace("2 * x[i]", "2 * x[i] + (i < 2 ? 1 + 10 * (float)i : 0)")
    fault = refuse(proved, worse)
    assert fault["reason"].startswith("request 1 (X FP32[3]): Y[1] is 15 and was 4; 2 of 3 elements"), fault
    result = command(root, "replay", fault["replay"])
    assert "2 of 3 elements are off; the worst at [1]: expected 4, got 15" in result.stdout, result
    (root.path / "twice/deployment.yaml").write_text("gate: load\n")
    mark = proved.mark()
    root.rename_over("twice/twice.c", worse)
    proved.wait("save.done", mark, outcome="swapped")
    assert command(root, "shadow", "twice", 1).returncode == 0
    ask(proved, [1, 2, 3])
    assert "Y[1] is 4 where generation 2 answered 15" in proved.wait("shadow.differs")["reason"]


def test_a_replay_has_the_tolerance_that_the_trial_had(proved, root):
    mark = proved.mark()
    root.write("twice/deployment.yaml", "tolerance: {rtol: 0.1}\n")
    proved.wait("save.done", mark, outcome="swapped")
    off = "2 * x[i] + {} * x[i]"
    fault = refuse(proved, TWICE.replace("2 * x[i]", off.format("(i == 0 ? 0.3f : 0.1f)")))
    assert fault["reason"].startswith("request 1 (X FP32[3]): Y[0] is 2.29999995 and was 2; 1 of 3 elements"), fault
    result = command(root, "replay", fault["replay"])
    assert "1 of 3 elements is off; the worst at [0]: expected 2" in result.stdout, result
    mark = proved.mark()
    root.rename_over("twice/twice.c", TWICE.replace("2 * x[i]", off.format("0.1f")))
    proved.wait("save.done", mark, outcome="swapped")
    number = listed(root)[0]["id"]
    shutil.rmtree(root.path / ".devserve/cases")
    assert command(root, "replay", number).returncode == 0


def test_a_golden_case_that_a_save_failed_gets_a_number(proved, root):
    assert command(root, "record", "twice").returncode == 0
    [case] = cases(root.path / "twice/golden")
    numpy.save(case / "out/Y.npy", numpy.array([2, 4, 6.5], "float32"))
    (case / "case.json").write_text(json.dumps({"tolerance": {"Y": {"rtol": 0, "atol": 0.25}}}))
    fault = refuse(proved, TWICE + "/* another */")
    assert fault["golden"] == case.name and fault["replay"] == 2
    result = command(root, "replay", 2)
    assert result.returncode == 1, result
    assert "1 of 3 elements is off; the worst at [2]: expected 6.5, got 6" in result.stdout
    golden = root.path / ".devserve/cases/2/golden.json"
    golden.write_text(golden.read_text().replace("0.25", "0.5"))
    assert command(root, "replay", 2).returncode == 0


def test_what_a_sanitizer_found_in_a_save_is_found_again(proved, root):
    assert command(root, "asan", "twice").returncode == 0
    proved.wait("save.done", sanitized=True)
    fault = refuse(proved, "#include <stdlib.h>\n" + TWICE.replace("	if (access(", """\
	float *copy = (float *)malloc(3 * sizeof(float));

	for (size_t i = 0; i < n + (n == 3); i++)
		copy[i] = x[i < n ? i : 0];
	free(copy);
	if (access(""", 1))
    assert fault["replay"] == 1, fault
    result = command(root, "replay", 1)
    assert "crashed: AddressSanitizer found heap-buffer-overflow" in result.stdout, result


def test_a_state_is_copied_with_the_request_and_a_golden_case_begins_with_none(root, serve):
    root.copy("counter")
    server = serve("--gate", "replay")
    for i in range(3):
        assert server.infer("counter", {"inputs": [{"name": "DELTA", "datatype": "INT64", "shape": [1],
                                                    "data": [10]}]}).output("COUNT") == [10 * (i + 1)]
    result = command(root, "replay", 1)
    assert "the worst at [0]: expected 10, got 40" in result.stdout and "moved on since" in result.stdout, result
    assert json.loads(command(root, "replay", 1, "--json").stdout)["stateful"]

    assert command(root, "record", "counter", "--id", 1).returncode == 0
    source = (root.path / "counter/counter.c").read_text()
    mark = server.mark()
    root.rename_over("counter/counter.c", source.replace("counter->count, *delta", "counter->count + 1, *delta"))
    number = server.wait("trial.failed", mark)["proof"]["fault"]["replay"]
    result = command(root, "replay", number)
    assert "the worst at [0]: expected 10, got 11" in result.stdout and "moved on" not in result.stdout, result


def test_golden_cases_want_a_directory(root, serve, tmp_path):
    root.write("seven.c", constant(7))
    serve().infer("seven", x(1))
    result = command(root, "record", "seven")
    assert result.returncode == 1 and "seven.c is one file" in result.stderr
    assert command(root, "record", "seven", "--out", tmp_path / "here").returncode == 0


def test_an_image_for_a_sanitizer_is_replayed_under_it(root, serve, tmp_path):
    root.write("heap.c", deployment(f"""\
	int *block = malloc(40);

	block[0] = 7;
	block[access("{tmp_path}/flag", F_OK) == 0 ? 10 : 9] = 7;
	*y = block[0];
	free(block);""", "#include <stdlib.h>\n#include <unistd.h>"))
    server = serve()
    result = command(root, "asan", "heap")
    assert result.returncode == 0, result.stderr
    assert server.infer("heap", x(1)).value == 7
    number = str(listed(root, "heap")[0]["id"])
    assert "the same" in command(root, "replay", number).stdout
    (tmp_path / "flag").touch()
    result = command(root, "replay", number)
    assert result.returncode == 1
    assert "crashed: AddressSanitizer found heap-buffer-overflow" in result.stdout, result


@pytest.mark.skipif(not shutil.which("gdb"), reason="there is no gdb")
def test_replay_under_gdb_stops_in_infer_with_the_same_input(twice, root):
    ask(twice, [40, 41, 42])
    result = subprocess.run([BUILD / "devserve", "replay", "1", "--gdb", "--root", root.path], text=True, timeout=60,
                            input="print ((const float *)call->in[0].data)[2]\nbt 1\nkill\nquit\n",
                            capture_output=True)
    assert "= 42" in result.stdout, result.stdout + result.stderr
    assert re.search(r"#0  infer \(call=.*twice\.c", result.stdout, re.S)


@pytest.mark.skipif(not shutil.which("gdb"), reason="there is no gdb")
def test_replay_under_gdb_shows_what_was_compiled_and_takes_words_for_gdb(twice, root):
    ask(twice, [1, 2])
    command(root, "replay", "1")
    twice.stop()
    source = root.path / "twice/twice.c"
    source.write_text("\n\n\n" + source.read_text().replace("size_t n = devserve_count", "size_t edited = devserve_count"))
    result = devserve("replay", "1", "--gdb", "--root", ".", "--", "-batch", "-ex", "list infer", cwd=root.path)
    assert "size_t n = devserve_count" in result.stdout and "edited" not in result.stdout, result
    assert "worker/replay.c: No such file" not in result.stdout + result.stderr, result
    assert "only --gdb takes more" in command(root, "replay", "1", "2").stderr


@pytest.mark.skipif(not shutil.which("gdb"), reason="there is no gdb")
def test_replay_under_gdb_shows_what_a_refused_save_was_compiled_of_and_stops_there(proved, root):
    wrong = TWICE.replace("	return 0;", "	y[1] = 7; /* wrong */\n	return 0;").replace("<unistd.h>", '<unistd.h>\n#include "one.h"')
    root.write("twice/one.h", "/* nothing yet */\n")
    fault = refuse(proved, wrong)
    root.write("twice/twice.c", "no more\n")
    line = next(i for i, text in enumerate(wrong.splitlines(), 1) if "/* wrong */" in text)
    case = root.path / f".devserve/cases/{fault['replay']}"
    while not case.exists():
        pass  # it is being written
    assert (case / "source/twice/one.h").read_text() == "/* nothing yet */\n"
    result = devserve("replay", fault["replay"], "--gdb", "--root", root.path, "--", "-batch", "-ex",
                      f"break twice.c:{line}", "-ex", "continue", "-ex", "print x[2]", "-ex", f"list {line},{line}")
    assert f"{line}\t\ty[1] = 7; /* wrong */" in result.stdout and "= 3\n" in result.stdout, result


def test_numbers_of_what_is_kept_are_not_given_again(root, serve):
    root.write("seven.c", constant(7))
    server = serve()
    for i in range(3):
        server.infer("seven", x(i))
    assert command(root, "replay", "3").returncode == 0
    server.stop()
    server = serve()
    server.infer("seven", x(1))
    assert [r["id"] for r in listed(root, "seven")] == [4]


def test_what_is_not_there_is_said_so(twice, root):
    for args, status, words in [
            (["replay", "99"], 1, "there is no recording of that number"),
            (["replay", "../x"], 2, "is no number of a recording"),
            (["record", "twice", "--id", "x"], 2, "is no number"),
            (["record", "twice", "--id", "99"], 1, "there is no recording of that number"),
            (["record", "twize"], 1, "did you mean 'twice'"),
            (["record", "twice"], 1, "nothing was recorded for twice yet")]:
        result = command(root, *args)
        assert result.returncode == status and words in result.stderr, (args, result)


def test_a_golden_case_of_a_stateful_deployment_says_what_is_answered_from_a_zeroed_state(root, serve):
    """That is what it is asked from; else no save would come through any more."""
    root.copy("counter")
    server = serve("--gate", "replay")
    request = {"inputs": [{"name": "DELTA", "datatype": "INT64", "shape": [1], "data": [3]}]}
    assert [server.infer("counter", request).output("COUNT") for _ in range(4)] == [[3], [6], [9], [12]]
    result = command(root, "record", "counter")
    assert result.returncode == 0, result.stderr
    first, *others = result.stdout.splitlines()
    [case] = cases(root.path / "counter/golden")
    assert first == f"{case}  recording 4, as it is answered from a zeroed state"
    assert others == [f"{case}  is there already: recording {i}" for i in (3, 2, 1)]
    assert numpy.load(case / "out/COUNT.npy").tolist() == [3]
    assert list((root.path / ".devserve/cases").glob("*")) == [], "they take the place of no case that somebody kept"
    done = server.save("counter/counter.c", root.read("counter/counter.c") + "int more;\n")
    assert done["outcome"] == "swapped", done
    assert server.infer("counter", request).output("COUNT") == [15]
