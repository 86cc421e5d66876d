# SPDX-License-Identifier: MIT
"""bench/gpu: its rows run on the fake driver where no GPU is, for the sake of their code alone; no figure of them
means anything then. And that nothing which a run has found is lost, whatever ends it."""

import contextlib
import importlib.machinery
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import types

import pytest

from devserve import TREE, PATIENCE, wait_until_gone
from gpu import FAKE, GPU, fake, gpu, needs_toolkit, without_gpu  # noqa: F401, fixtures

sys.path.insert(0, str(TREE / "bench"))

import cuda_driver  # noqa: E402
import gpu_copies  # noqa: E402
import gpu_edits  # noqa: E402
import gpu_results  # noqa: E402
import gpu_saves  # noqa: E402
from gpu_harness import Row, quartiles  # noqa: E402

pytestmark = needs_toolkit


def test_what_is_told_of_known_saves_is_counted(root, gpu):
    gpu_saves.write(root, gpu_saves.kernel(gpu_saves.LOOPS, 0))
    told = {}
    gpu_saves.verdicts(gpu(), 1, told)
    assert {kind: len(t) for kind, t in told.items()} == {"same": 1, "slower": 1, "faster": 1}
    rows = gpu_saves.describe_verdicts(told)
    assert len(rows) == 3 and all("wrong 0" in row[1] for row in rows), told


def test_wrong_and_missing_verdicts_are_told_as_such():
    told = {"same": [{"verdict": "FASTER", "ratio": 1.05}], "slower": [{"verdict": "UNSURE", "ratio": None}],
            "faster": [{"verdict": "FASTER", "ratio": 1.03}]}
    same, slower, faster = gpu_saves.describe_verdicts(told)
    assert same[1] == "SAME 0 of 1, wrong 1, at most 4.88 % off"
    assert slower[1] == "SLOWER 0 of 1, wrong 0, none was measured"
    assert faster[1] == "FASTER 1 of 1, wrong 0, at most 0.00 % off"


def test_swaps_under_a_client_give_no_wrong_answer(root, gpu):
    gpu_saves.write(root, gpu_saves.adder(0))
    found = {}
    gpu_saves.swaps(gpu(), 20, lambda: 0, found)
    assert not found["wrong"] and found["answers"] > 20 and found["grown"] == 0, found
    assert "20 swaps" in gpu_saves.describe_swaps(found)[0][0]


SOFTMAX = """\
#include <devserve/deployment.h>
#include <devserve/ext/cuda.h>

static int infer(const struct devserve_call *call)
{
	return devserve_launch(call->host, "softmax_short", devserve_xyz(1, 1, 1), devserve_xyz(32, 1, 1), 0, call->out[0].data,
			       call->in[0].data, 8);
}

DEVSERVE_CUDA()
DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ "INPUT0", DEVSERVE_FP32, { 1, 8 } }),
	.outputs = DEVSERVE_TENSORS({ "OUTPUT0", DEVSERVE_FP32, { 1, 8 } }),
	.infer = infer,
	.extensions = { DEVSERVE_CUDA_EXTENSION },
)
"""


@without_gpu
@pytest.mark.parametrize("breaks", (False, True))
def test_the_client_of_a_save_ends_with_its_row(root, fake, breaks):
    root.write("softmax_cuda/softmax.cu", (TREE / "plugins/softmax_cuda/softmax.cu").read_text())
    root.write("softmax_cuda/softmax_cuda.c", SOFTMAX)
    server, found = fake(), {}

    @contextlib.contextmanager
    def serve(files, copy):
        yield server

    def rounds(full, quick):
        if breaks:
            root.write("softmax_cuda/softmax_cuda.c", SOFTMAX + "\nsyntax error\n")
            server.wait("save.done", outcome="build-failed")
        return 2

    bench = types.SimpleNamespace(driver=types.SimpleNamespace(architecture=lambda: "sm_80"), rounds=rounds, serve=serve)
    with pytest.raises(RuntimeError, match="build-failed") if breaks else contextlib.nullcontext():
        gpu_edits.save(bench, found)
    before = server.status()["deployments"][0]["executions"]
    assert server.status()["deployments"][0]["executions"] == before, "nobody asks any more"
    if not breaks:
        save, pause = gpu_edits.describe_save(found, {})
        assert "settle" in save[1] and "at most" in pause[1] and len(found["ms"]) == 2, (save, pause)


def test_hidden_copies_and_late_clients_are_told_as_such():
    found = {"ms": [40.2, 40.2], "bare_ms": [40.1], "wall_ms": [40.3], "in_ms": [1], "out_ms": [1], "kernel_ms": 40}
    ((_, value, goal),) = gpu_copies.describe_stream(found, {})
    assert value == "40.200 ms a call, 99.8 % of the bare loop's rate; 90 % of both copies hidden" and "40.100 ms, 95 % hidden" in goal
    ((_, value, _),) = gpu_copies.describe_stream({**found, "wall_ms": [55]}, {})
    assert value.endswith("CLIENTS WERE LATE: 55.0 ms a call by the clock")


def test_quartiles_are_those_of_short_lists_too():
    assert quartiles([3]) == [3, 3, 3] and quartiles([1, 2]) == [1.25, 1.5, 1.75] and quartiles([5, 1, 3, 2, 4]) == [2, 3, 4]


def test_libraries_are_found_wherever_a_toolkit_has_them(tmp_path):
    machine = os.uname().machine
    for i, place in enumerate(("lib64", "lib", f"lib/{machine}-linux-gnu", f"targets/{machine}-linux/lib")):
        directory = tmp_path / str(i) / place
        directory.mkdir(parents=True)
        for name in ("libnvrtc.so.13", "libnvrtc.so.9", "libnvrtc-builtins.so.13.1", "libnvrtc.so.alt"):
            (directory / name).touch()
        assert cuda_driver.library("libnvrtc", [tmp_path / "none", tmp_path / str(i)]) == directory / "libnvrtc.so.13"
    with pytest.raises(FileNotFoundError, match="CUDA_HOME"):
        cuda_driver.library("libcublas", [tmp_path / "0"])


# What is kept


def rows_of(tmp_path, *measures):
    rows = [Row(f"row{i}", "", (1, 1), measure, lambda found, others: [("sum", str(found["a"] / found["b"]), f"{len(others)} others")])
            for i, measure in enumerate(measures)]
    return gpu_results.Results(rows, ["other"], {}, tmp_path / "kept"), rows


def kept(tmp_path):
    (file,) = tmp_path.glob("*.json")
    return json.loads(file.read_text())


def test_each_row_is_kept_as_it_ends_and_what_is_missing_is_named(tmp_path):
    seen = []

    def good(bench, found):
        seen.append(kept(tmp_path)["missing"])
        found.update(a=1, b=2)

    def unhappy(bench, found):
        found["first"] = 7
        raise OSError("no such thing")

    results, rows = rows_of(tmp_path, good, unhappy, lambda bench, found: found.update(a=1, b=0), good)
    for row in rows[:3]:
        results.measure(row, types.SimpleNamespace(story="what the server said"))
    told = kept(tmp_path)
    assert seen == [{"row0": "the run ended while it was under way", "row1": "not reached", "row2": "not reached", "row3": "not reached"}]
    assert told["raw"]["row1"]["first"] == 7 and told["raw"]["row1"]["server"] == "what the server said", "what it had is kept"
    assert told["missing"]["row1"].startswith("OSError: no such thing (test_cuda_bench.py:"), told
    assert told["missing"]["row2"].startswith("ZeroDivisionError: division by zero (test_cuda_bench.py:"), told
    assert told["missing"]["row3"] == "not reached" and results.failed == {"row1", "row2"}
    assert [row[1] for row in told["rows"]] == ["0.5"] + ["missing"] * 4 and told["rows"][4][2] == "other"
    results.stop("ended by SIGTERM")
    assert kept(tmp_path)["missing"]["row3"] == "not reached: ended by SIGTERM"
    assert not list(tmp_path.glob("*.new"))


def run(tmp_path, *args, fault=""):
    return subprocess.Popen([TREE / "bench/gpu", "--quick", "--out", tmp_path, *args], stdout=subprocess.PIPE, text=True,
                            env={**os.environ, "LD_LIBRARY_PATH": str(FAKE), "FAKE_CUDA_FAULT": fault, "TMPDIR": str(tmp_path)})


@without_gpu
def test_a_failed_row_leaves_the_others_and_the_status_tells(tmp_path):
    process = run(tmp_path, "--only", "attention,graphs,replacement", fault="wild=700")
    process.communicate()
    told = kept(tmp_path)
    assert process.returncode == 1 and list(told["missing"]) == ["attention"], told  # the fake's kernels take no time
    assert told["missing"]["attention"].startswith("ZeroDivisionError"), told
    assert told["about"]["gpu"].startswith("fake") and "swaps" in told["not_asked_for"], told
    labels = [row[0] for row in told["rows"]]
    assert "calls of 20 small kernels, as graphs" in labels and "worker replaced after error 700" in labels, labels


@without_gpu
def test_rows_with_copies_ask_and_check_all_that_they_claim(tmp_path):
    run(tmp_path, "--only", "overlap,stream,outputs,inputs").communicate()
    told = kept(tmp_path)
    assert all(why.startswith("ZeroDivisionError") for why in told["missing"].values()), told["missing"]  # as above
    assert len(told["raw"]["stream"]["bare_ms"]) == 2 and len(told["raw"]["outputs"]["ms"]) == 4, told["raw"]


@without_gpu
@pytest.mark.parametrize("how", ("SIGTERM", "SIGINT", "SIGALRM", "SIGKILL"))
def test_a_run_that_is_ended_has_kept_what_it_found(tmp_path, how):
    process = run(tmp_path, "--only", "graphs,verdicts,swaps")
    for line in process.stdout:
        if line.startswith("calls of"):
            break
    process.send_signal(getattr(signal, how))
    process.communicate(timeout=PATIENCE)
    told = kept(tmp_path)
    status = {"SIGKILL": -9, "SIGALRM": 3}.get(how, 128 + getattr(signal, how))  # the alarm is that of --limit
    assert process.returncode == status, process
    assert told["rows"][0][0].startswith("calls of 20") and set(told["missing"]) == {"verdicts", "swaps"}, told
    if how != "SIGKILL":
        assert all(("--limit" if how == "SIGALRM" else how) in why for why in told["missing"].values()), told["missing"]


@without_gpu
def test_what_would_not_fit_is_left_out(tmp_path):
    process = run(tmp_path, "--only", "graphs,verdicts", "--limit", "35")  # 23 s for it to start in
    said, _ = process.communicate()
    told = kept(tmp_path)
    assert process.returncode == 3 and set(told["missing"]) == {"verdicts"}, told
    assert told["missing"]["verdicts"].startswith("left out: it takes"), told
    assert said.startswith("about 47 s: graphs 12, verdicts 35\n"), said


@without_gpu
def test_of_the_fake_driver_nothing_is_kept_among_the_results(tmp_path):
    process = subprocess.run([TREE / "bench/gpu", "--only", "graphs"], capture_output=True, text=True,
                             env={**os.environ, "LD_LIBRARY_PATH": str(FAKE)})
    assert process.returncode == 1 and "fake driver" in process.stderr, process


def test_no_run_writes_over_another(tmp_path):
    for name in ("day", "day-2"):
        path = gpu_results.free_path(tmp_path, "day")
        assert path == tmp_path / name
        gpu_results.replace(f"{path}.json", "")


# bench/gpu-rented


@pytest.fixture
def rented_program():
    loader = importlib.machinery.SourceFileLoader("gpu_rented", str(TREE / "bench/gpu-rented"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_rented", loader))
    loader.exec_module(module)
    return module


@pytest.fixture
def briefly(rented_program, tmp_path, monkeypatch):
    """A rental whose steps are told to end soon after they have said something, however late that is."""
    class Begun(subprocess.Popen):
        def wait(self, timeout=None):
            while self.poll() is None and not any(path.stat().st_size for path in tmp_path.glob("step*.txt")):
                time.sleep(0.01)
            return super().wait(timeout)

    monkeypatch.setattr(rented_program.subprocess, "Popen", Begun)
    monkeypatch.setattr(rented_program, "GRACE_S", 59.5)
    return rented_program.Rental(tmp_path, 1000)


@pytest.mark.parametrize("rest", ("", "; exec sleep 100"), ids=["by itself", "when told to"])
def test_a_step_that_has_ended_leaves_nothing_that_it_started(briefly, tmp_path, rest):
    briefly.step("step", ["sh", "-c", f"sleep 100 & echo $!{rest}"], 60, signal.SIGTERM)
    wait_until_gone(int((tmp_path / "step.txt").read_text()))


@pytest.mark.timeout(600)
@without_gpu
def test_a_rental_runs_tests_and_then_the_bench_from_programs_that_were_packed(tmp_path):
    program, out, packed = TREE / "bench/gpu-rented", tmp_path / "out", tmp_path / "packed"
    subprocess.run([program, "--pack", packed], check=True)
    assert (packed / "lib/libuv.so.1").is_file() and not list(packed.glob("lib/libc.*"))
    ran = subprocess.run([sys.executable, program, "--seconds", "480", "--out", out, "--only", "tests,bench", "--tests", "test_cuda_bench.py",
                          "--rows", "graphs,attention", "--quick"], capture_output=True, text=True,
                         env={**os.environ, "DEVSERVE_BUILD": str(packed), "LD_LIBRARY_PATH": str(FAKE)})
    assert ran.returncode == 1, ran  # of the fake's attention
    assert "test_swaps_under_a_client_give_no_wrong_answer PASSED" in (out / "tests.txt").read_text(), ran
    assert "2 passed" in (out / "tests.txt").read_text() and list(kept(out)["missing"]) == ["attention"], ran
    said = (out / "order.txt").read_text()
    assert said.index("tests: ok") < said.index("bench: exit status 1") < said.index("exit status 1\n", len(said) - 20), said


@without_gpu
def test_a_rental_without_a_driver_says_so(tmp_path):
    ran = subprocess.run([TREE / "bench/gpu-rented", "--seconds", "120", "--out", tmp_path / "out"], capture_output=True, text=True)
    assert ran.returncode == 2 and "there is no GPU: " in (tmp_path / "out/order.txt").read_text(), ran


def test_only_libraries_that_are_missing_are_brought(rented_program, tmp_path, monkeypatch):
    (tmp_path / "build/lib").mkdir(parents=True)
    for name in ("libone.so.1", "libtwo.so.2", "libhere.so.3"):
        (tmp_path / "build/lib" / name).touch()
    brought = tmp_path / "lib"

    def libraries(program):
        yield "libone.so.1", (brought / "libone.so.1").exists() or None
        yield "libhere.so.3", "/lib/libhere.so.3"
        if (brought / "libone.so.1").exists():  # which wants another
            yield "libtwo.so.2", (brought / "libtwo.so.2").exists() or None

    monkeypatch.setattr(rented_program, "BUILD", tmp_path / "build")
    monkeypatch.setattr(rented_program, "libraries", libraries)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/elsewhere")
    assert rented_program.bring_libraries(tmp_path) == ["libone.so.1", "libtwo.so.2"]
    assert os.environ["LD_LIBRARY_PATH"] == f"{brought}:/elsewhere"


def test_a_step_that_takes_too_long_is_ended_and_what_it_said_is_there(briefly, tmp_path):
    said = "trap 'echo ends; exit' TERM; echo begins; while :; do sleep 0.1; done"
    assert briefly.step("step", ["sh", "-c", said], 60, signal.SIGTERM) == -1
    assert (tmp_path / "step.txt").read_text() == "begins\nends\n" and not briefly.well
    assert briefly.step("none", ["sh", "-c", "echo 3 skipped", "pytest"], 100, signal.SIGTERM) == 1, "nothing is proved"
    briefly.seconds = 10
    assert briefly.step("late", ["true"], 100, signal.SIGTERM) == -1
    assert "LEFT OUT" in (tmp_path / "order.txt").read_text()
