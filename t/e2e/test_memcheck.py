# SPDX-License-Identifier: MIT
"""A CUDA deployment under compute-sanitizer. Where no GPU is, a fake of it (t/fake/compute-sanitizer) and of the driver
show how it is started, what becomes of its report, and that nothing is left of it; not that it finds anything."""

import json
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from devserve import TREE, constant, devserve, wait_until_gone, x
from gpu import FAKE, NVCC, needs_toolkit, refuse_mistakes, with_gpu, without_gpu
from test_cuda import LAUNCH, host, kernel, wild, write

pytestmark = needs_toolkit

REPORT = """\
========= Invalid __global__ write of size 4 bytes
=========     at wild(int *)+0xb0 in {path}/one/kernel.cu:10
=========     by thread (0,0,0) in block (2,1,0)
=========     Address 0x7fe71d800958 is out of bounds
=========     and is 85 bytes after the nearest allocation at 0x7fe71d800900 of size 4 bytes
========="""
WHAT = "invalid __global__ write of size 4 bytes in kernel wild(int *), by thread (0,0,0) of block (2,1,0): " \
       "out of bounds, 85 bytes after the nearest allocation, which has 4 bytes"


def toggle(server, name="one", *options):
    mark = server.mark()
    said = devserve("asan", name, "--root", server.root.path, *options)
    if said.returncode == 0:
        server.wait("save.done", mark, deployment=name)  # or it would be taken for that of the next save
    return said


def entry(server, name="one"):
    return next(d for d in server.status()["deployments"] if d["name"] == name)


def parent(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        return int(stat.read().rsplit(")", 1)[1].split()[1])


@pytest.fixture
def tool(serve, root, tmp_path):
    """A server that finds the fakes; `.runs()`: process and options of each time that the tool was started;
    `.env`: how."""
    where = tmp_path / "bin"
    where.mkdir()
    shutil.copy(TREE / "t/fake/compute-sanitizer", where)
    log = tmp_path / "sanitizer.log"
    log.write_text("")

    def start(*args, fault="", refusal="", finding=REPORT, **kw):
        env = {"PATH": f"{where}:{os.environ['PATH']}", "LD_LIBRARY_PATH": str(FAKE),
               "FAKE_CUDA_LOG": str(tmp_path / "cuda.log"), "FAKE_CUDA_FAULT": fault,
               "FAKE_SANITIZER_LOG": str(log), "FAKE_REFUSAL": refusal,
               "FAKE_FINDING": finding.format(path=root.path)}
        server = serve(*args, env=env, **kw)
        server.env = env
        server.runs = lambda: [line.split() for line in log.read_text().splitlines()]
        return server

    yield start
    refuse_mistakes(tmp_path / "cuda.log")


@without_gpu
def test_the_worker_is_started_by_it_and_there_and_back_nothing_is_compiled(root, tool):
    write(root)
    server = tool()
    assert server.runs() == []
    said = toggle(server)
    assert said.returncode == 0 and "serves under compute-sanitizer" in said.stdout, said
    done = server.wait("save.done", deployment="one", sanitized=True)
    assert done["outcome"] == "swapped" and done["sanitizer"] == "compute-sanitizer", done
    assert not {"nvrtc", "gcc", "link"} & {s["name"] for s in done["stages"]}, done
    (pid,) = server.worker_pids("one")
    starters = {int(run[0]) for run in server.runs()}
    assert parent(parent(pid)) in starters, "as the real one, it has a process between"
    options = server.runs()[0][1:]
    assert options[:2] == ["--tool", "memcheck"] and "--strip-paths" in options, options
    assert server.infer("one", x(5)).status == 200
    assert entry(server)["sanitizer"] == "compute-sanitizer"
    assert "under compute-sanitizer" in devserve("status", root.path).stdout
    runs = len(server.runs())
    said = toggle(server)
    assert said.returncode == 0 and "as it is built usually" in said.stdout, said
    for process in (*starters, pid):
        wait_until_gone(process)
    assert len(server.runs()) == runs
    assert server.infer("one", x(5)).status == 200 and "sanitizer" not in entry(server)


@without_gpu
def test_each_tensor_is_an_allocation_by_itself_so_that_a_step_past_it_is_seen(root, tool, tmp_path):
    write(root)
    server = tool()
    assert toggle(server).returncode == 0
    (pid,) = server.worker_pids("one")
    for value in 1, 2:
        assert server.infer("one", x(value)).status == 200
    calls = [line.split(" ", 1)[1] for line in (tmp_path / "cuda.log").read_text().splitlines() if line.split(" ", 1)[0] == str(pid)]
    assert calls.count("allocate 4") >= 4 and calls.count("free") >= 4, calls


@without_gpu
def test_a_replay_is_under_it_and_has_allocations_of_their_own_too(root, tool, tmp_path):
    write(root)
    server = tool()
    toggle(server)
    assert server.infer("one", x(1)).status == 200
    log = tmp_path / "replay.log"
    said = devserve("replay", "1", "--root", root.path, env={**server.env, "FAKE_CUDA_LOG": str(log)})
    assert "expected 0, got -1" in said.stdout, said  # no kernel runs on a fake: it is what the output was filled with
    assert "COMPUTE-SANITIZER" in said.stderr and " allocate 4\n" in log.read_text(), log.read_text()


@without_gpu
def test_what_it_finds_ends_the_call_and_is_told_by_its_line(root, tool):
    write(root, call=wild())
    server = tool(fault="wild=719")
    toggle(server)
    generation = entry(server)["generation"]
    mark = server.mark()
    answer = server.infer("one", x(1))
    assert answer.status == 500 and WHAT in answer.json["error"], answer
    report = server.wait("sanitizer.report", mark, deployment="one")
    assert report["what"] == WHAT and report["call"] == "X INT32[1]", report
    place = {"file": str(root.path / "one/kernel.cu"), "line": 10}
    assert place.items() <= report["diagnostics"][0].items() and report["diagnostics"][0]["severity"] == "error", report
    assert place.items() <= report["frames"][0].items() and report["frames"][0]["function"] == "wild(int *)", report
    assert not server.seen("crash.report"), "it is what it is there for, not a crash"
    server.wait("worker.replaced", mark, deployment="one")
    assert entry(server)["generation"] == generation and entry(server)["sanitizer"], "nothing falls back"


@without_gpu
def test_a_save_is_served_under_it_until_it_ends(root, tool):
    write(root)
    server = tool()
    toggle(server)
    server.wait("save.done", deployment="one", sanitized=True)  # lest it be taken for that of the next save
    (before,) = server.worker_pids("one")
    done = server.save("one/kernel.cu", kernel(3))
    assert done["outcome"] == "swapped" and done["sanitizer"] == "compute-sanitizer", done
    assert server.worker_pids("one") != [before], "it has not seen the code before it started"
    done = server.save("one/one.c", host() + "\nint more;\n")
    assert done["outcome"] == "swapped" and done["sanitizer"] == "compute-sanitizer", done
    assert server.infer("one", x(1)).status == 200


@without_gpu
def test_why_it_does_not_start_is_a_line_of_the_deployment(root, tool):
    write(root)
    server = tool(refusal="cannot attach")
    mark = server.mark()
    said = toggle(server)
    assert said.returncode == 1 and "ended with exit status 255" in said.stderr, said
    assert "cannot attach" in server.wait("log", mark, deployment="one")["text"]
    assert server.infer("one", x(1)).status == 200, "what served goes on"


@without_gpu
def test_loading_that_hangs_under_it_is_told_with_the_time_that_it_had(root, tool):
    write(root)
    root.write("one/one.c", "#include <unistd.h>\n" + host().replace("\t*self =", """\
\twhile (getpgrp() != getpid()) /* a worker leads its group, unless the tool does */
\t\tpause();
\t*self ="""))
    server = tool("--create-timeout=1")
    said = toggle(server)
    assert said.returncode == 1 and "did not return within 6 s" in said.stderr, said
    assert server.infer("one", x(1)).status == 200 and "sanitizer" not in entry(server)


SLOW = "\tif (getpgrp() != getpid()) /* a worker leads its group, unless the tool does */\n\t\tusleep(1500000);\n\t*self ="


@without_gpu
def test_a_shadow_of_what_serves_under_it_has_as_long_to_start(root, tool):
    write(root)
    root.write("one/one.c", "#include <unistd.h>\n" + host().replace("\t*self =", SLOW))
    server = tool("--create-timeout=1")
    assert toggle(server).returncode == 0
    mark = server.mark()
    said = devserve("shadow", "one", entry(server)["generation"], "--root", root.path)
    assert said.returncode == 0, said
    server.wait("shadow.started", mark)


@without_gpu
def test_requests_that_are_asked_once_more_under_it_have_as_long_to_wait_for_a_worker(root, tool):
    """Two in one batch crash, and each alone doesn't; loading takes longer than --create-timeout, which it may there."""
    crashes = "\tif (n == 2 && getpgrp() != getpid()) /* a worker leads its group, unless the tool does */\n\t\tabort();\n"
    source = "#include <stdlib.h>\n#include <unistd.h>\n" + host(crashes + LAUNCH)
    source = source.replace("\t*self =", SLOW)
    write(root)
    root.write("one/one.c", source.replace("\t.create =", "\t.max_batch_size = 2,\n\t.max_queue_delay_microseconds = 20000000,\n"
                                                          "\t.create ="))
    server = tool("--create-timeout=1", finding="")
    said = toggle(server)
    assert said.returncode == 0, said
    runs, mark = len(server.runs()), server.mark()
    request = {"inputs": [{"name": "X", "datatype": "INT32", "shape": [1, 1], "data": [21]}]}
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: server.new_client().infer("one", request), range(2)))
    assert [a.status for a in answers] == [200, 200], answers
    assert server.seen("crash.report", mark) and len(server.runs()) > runs


@without_gpu
def test_where_it_is_not_there_a_sentence_says_what_to_install(root, serve, tmp_path):
    write(root)
    server = serve(env={"LD_LIBRARY_PATH": str(FAKE)})
    said = toggle(server)
    assert said.returncode == 4 and "neither in the CUDA toolkit" in said.stderr and "install" in said.stderr, said
    server.wait("save.done", deployment="one", outcome="build-failed")
    assert server.infer("one", x(1)).status == 200 and "sanitizer" not in entry(server)
    done = server.save("one/kernel.cu", kernel(3))
    assert done["outcome"] == "swapped" and "sanitized" not in done, done


@without_gpu
def test_where_neither_it_nor_a_gpu_is_there_both_are_said_once(root, serve):
    write(root)
    server = serve(ready=False)
    server.wait("server.ready")
    mark = server.mark()
    for _ in range(2):
        said = devserve("asan", "one", "--root", root.path)
        assert said.returncode == 4 and "neither in the CUDA toolkit" in said.stderr, said
        assert "; besides, this deployment needs CUDA" in said.stderr, said
    root.write("other.c", constant(1))
    server.wait("swap.done", mark, deployment="other")
    assert [e["outcome"] for e in server.seen("save.done", mark, deployment="one")] == ["build-failed"] * 2
    (one, _) = server.status()["deployments"]
    assert (one["state"], one["stale"]) == ("unavailable", "trial-failed") and "needs CUDA" in one["reason"], one


@without_gpu
@pytest.mark.parametrize("which", ["server", "tool"])
def test_nothing_is_left_when_one_of_them_is_killed(root, tool, request, which):
    write(root)
    server = tool()
    toggle(server)
    (pid,) = server.worker_pids("one")
    starter = parent(parent(pid))
    mark = server.mark()
    if which == "tool":
        os.kill(starter, signal.SIGKILL)
        server.wait("worker.replaced", mark, deployment="one")
        assert server.infer("one", x(1)).status == 200
    else:
        server.stop(signal.SIGKILL)
        request.node.servers.remove(server)  # whose end should be another
    wait_until_gone(pid)
    wait_until_gone(starter)


@without_gpu
def test_a_call_that_takes_too_long_ends_its_worker_and_the_tool(root, tool):
    write(root, call="\t(void)n;\n\tif (*(int *)call->in[0].data < 0)\n\t\tfor (volatile int i = 0;; i++)\n\t\t\t;\n\treturn 0;")
    root.write("one/deployment.yaml", "request_timeout_s: 1\n")
    server = tool()
    toggle(server)
    (pid,) = server.worker_pids("one")
    starter = parent(parent(pid))
    mark = server.mark()
    assert server.infer("one", x(-1)).status == 504
    wait_until_gone(pid)
    wait_until_gone(starter)
    server.wait("worker.replaced", mark, deployment="one")
    assert server.infer("one", x(1)).status == 200


@with_gpu
def test_an_illegal_address_is_told_by_the_line_of_its_kernel(root, serve):
    if not any((shutil.which("compute-sanitizer"), os.path.exists(os.path.dirname(NVCC) + "/compute-sanitizer"))):
        pytest.skip("there is no compute-sanitizer")
    write(root)
    server = serve("--create-timeout=60")
    said = toggle(server)
    assert said.returncode == 0 and "compute-sanitizer" in said.stdout, said
    server.wait("save.done", deployment="one", sanitized=True)
    assert server.infer("one", x(21)).value == 42
    server.save("one/one.c", host(wild()))
    mark = server.mark()
    assert server.infer("one", x(1)).status == 500
    report = server.wait("sanitizer.report", mark, deployment="one")
    line = next(i for i, text in enumerate(root.read("one/kernel.cu").splitlines(), 1) if "1ll << 40" in text)
    print(json.dumps(report, indent=1))
    assert (report["diagnostics"][0]["file"], report["diagnostics"][0]["line"]) == (str(root.path / "one/kernel.cu"), line), report
    assert "write of size 4" in report["what"] and "wild" in report["what"], report
    server.save("one/one.c", host(LAUNCH))
    assert server.infer("one", x(21)).value == 42
    assert toggle(server).returncode == 0 and server.infer("one", x(21)).value == 42
