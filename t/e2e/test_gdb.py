# SPDX-License-Identifier: MIT
"""devserve gdb: a debugger at a worker, with sources, and with all the time that it takes."""

import os
import shutil
import subprocess
import threading

import pytest

from devserve import BUILD, PATIENCE, constant, deployment, devserve, x

pytestmark = pytest.mark.skipif(not shutil.which("gdb"), reason="there is no gdb")

TWICE = deployment("	*y = 2 * x;")
LINE = TWICE.split("*y = 2")[0].count("\n") + 1


@pytest.fixture
def server(root, serve):
    root.write("one/one.c", TWICE)
    root.write("one/deployment.yaml", "request_timeout_s: 1\n")
    return serve()


def gdb(server, *commands, name="one"):
    words = [word for command in commands for word in ("-ex", command)]
    return [str(BUILD / "devserve"), "gdb", name, "--root", str(server.root.path), "--", "-batch", *words]


def test_the_worker_is_found_and_its_sources_are(server):
    done = devserve("gdb", "one", "--root", server.root.path, "--", "-batch", "-ex", "info line infer", "-ex", "list infer")
    assert f'"{server.root.path}/one/one.c"' in done.stdout and "*y = 2 * x;" in done.stdout, done
    assert done.returncode == 0
    assert server.infer("one", x(4)).value == 8


def test_what_is_shown_is_the_source_that_runs(server):
    server.root.rename_over("one/one.c", "\n\n\n" + TWICE.replace("*y = 2 * x;", "this doesn't compile"))
    server.wait("save.done", outcome="build-failed")
    done = devserve("gdb", "one", "--root", server.root.path, "--", "-batch", "-ex", "list infer")
    assert "*y = 2 * x;" in done.stdout and "this doesn't compile" not in done.stdout, done


def test_a_request_stops_where_it_is_told_to_and_is_answered_after_its_time(server, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    answers = []
    process = subprocess.Popen(gdb(server, "break infer", f"shell echo set >{fifo}", "continue",
                                   "print *(int *)call->in[0].data",
                                   "shell sleep 2.5", "delete", "detach"),
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
    assert fifo.read_text() == "set\n"  # a breakpoint is there, and the worker stands still
    client = threading.Thread(target=lambda: answers.append(server.new_client().infer("one", x(21))))
    client.start()
    said, _ = process.communicate(timeout=PATIENCE)
    client.join(PATIENCE)
    assert f"{server.root.path}/one/one.c:{LINE}" in said, said
    assert "$1 = 21" in said, said
    assert [a.value for a in answers] == [42]
    assert not server.seen("worker.died")


def test_a_save_waits_for_the_worker_to_go_on(server, tmp_path):
    fifo, go = tmp_path / "fifo", tmp_path / "go"
    os.mkfifo(fifo)
    os.mkfifo(go)
    process = subprocess.Popen(gdb(server, f"shell echo set >{fifo}", f"shell cat {go}", "detach"),
                               stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    fifo.read_text()
    mark = server.mark()
    server.root.rename_over("one/one.c", constant(7))
    server.wait("build.started", mark)
    go.write_text("on\n")
    process.wait(PATIENCE)
    assert server.wait("save.done", mark)["outcome"] == "swapped"
    assert server.infer("one").value == 7
    assert not server.seen("worker.died")


@pytest.mark.parametrize("words, sentence", [
    (["nosuch"], "there is no deployment 'nosuch'"),
    (["one", "--replica", "1"], "one has 1 worker; --replica counts from 0"),
])
def test_what_is_not_there_is_a_sentence(server, words, sentence):
    done = devserve("gdb", *words, "--root", server.root.path)
    assert done.returncode == 1 and sentence in done.stderr, done


def test_without_a_gdb_that_is_said(server, tmp_path):
    done = devserve("gdb", "one", "--root", server.root.path, env={"PATH": str(tmp_path)})
    assert done.returncode == 1 and "cannot start gdb" in done.stderr, done


def test_where_nothing_serves_the_reason_is_told(root, serve):
    root.write("none/none.c", "no C\n")
    serve(ready=False).wait("server.ready")
    done = devserve("gdb", "none", "--root", root.path)
    assert done.returncode == 1 and "none has no worker: " in done.stderr and "none.c:1" in done.stderr, done
