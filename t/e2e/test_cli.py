# SPDX-License-Identifier: MIT
"""The commands beside the server, and their exit codes."""

import contextlib
import json
import time
import os
import pathlib
import re
import signal
import subprocess

import pytest

from devserve import BUILD, PATIENCE, constant, devserve


def wait_until_in_flight(server):
    """Until a worker has the only request: no event tells of that."""
    while not server.status()["deployments"][0]["in_flight"]:
        pass


def sockets(pid):
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            if os.readlink(fd).startswith("socket:"):
                yield fd


def wait_until_connected(pid):
    """Until the process has a connection: nothing tells of that but its descriptors."""
    while not any(sockets(pid)):
        pass


@pytest.fixture
def server(root, serve):
    root.write("one/one.c", constant(10))
    return serve()


def test_status_finds_the_server_of_this_directory(server):
    run = devserve("status", cwd=server.root.path.parent)
    assert run.returncode == 0, run
    assert "one" in run.stdout
    run = devserve("status", "--json", cwd=server.root.path.parent)
    assert [d["name"] for d in json.loads(run.stdout)["deployments"]] == ["one"]


def test_status_shows_the_settings_that_are_in_force(server):
    server.root.write("one/deployment.yaml", "num_replicas: 2\nrequest_timeout_s: 5\n")
    server.wait("save.done", deployment="one", outcome="swapped", generation=2)
    run = devserve("status", server.root.path)
    assert "\none: num_replicas: 2, request_timeout_s: 5\n" in run.stdout, run
    mark = server.mark()
    server.root.write("one/deployment.yaml", "num_replicas: 99\n")
    server.wait("save.done", mark, deployment="one", outcome="build-failed")
    assert "\none: num_replicas: 2, request_timeout_s: 5\n" in devserve("status", server.root.path).stdout


class Watcher:
    """`devserve status --watch` as somebody reads it."""

    def __init__(self, *words, **options):
        self.process = subprocess.Popen([str(BUILD / "devserve"), "status", "--watch", *map(str, words)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, **options)

    def read_until(self, pattern):
        text = ""
        while not re.search(pattern, text):
            line = self.process.stdout.readline()
            assert line, text
            text += line
        return text


def test_watching_tells_what_changes_until_the_server_ends(server):
    watcher = Watcher(server.root.path)
    watcher.read_until(r"(?m)^one +ready +1 +- ")
    server.save("one/one.c", constant(11))
    watcher.read_until(r"(?m)^one +ready +2 +- ")
    server.save("one/one.c", constant("1 +"))
    watcher.read_until(r"(?m)^one +ready +2 +build-failed ")
    server.stop()
    assert watcher.process.wait(PATIENCE) == 69
    assert watcher.process.stderr.read().startswith("devserve: no server answers")


def test_watching_as_json_is_one_object_a_line(server):
    watcher = Watcher("--json", server.root.path)
    assert json.loads(watcher.process.stdout.readline())["deployments"][0]["generation"] == 1
    server.save("one/one.c", constant(11))
    while json.loads(watcher.process.stdout.readline())["deployments"][0]["generation"] != 2:
        pass
    watcher.process.kill()
    watcher.process.wait()


def end_by_ctrl_c(process):
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == -signal.SIGINT, "a shell makes 130 of it"
    assert process.stderr.read() == ""


def start(*words):
    return subprocess.Popen([str(BUILD / "devserve"), *map(str, words)], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_ctrl_c_ends_who_reads_logs(root, serve):
    root.write("one/one.c", constant('(puts("hello"), 1)', "#include <stdio.h>"))
    server = serve()
    server.infer("one")
    logs = start("logs", "-f", "one", "--root", root.path)
    assert "hello" in logs.stdout.readline()
    end_by_ctrl_c(logs)


def test_ctrl_c_ends_who_watches(server):
    watcher = Watcher(server.root.path)
    watcher.process.stdout.readline()
    end_by_ctrl_c(watcher.process)


def test_ctrl_c_ends_who_waits_for_a_save(root, serve, compiler):
    root.write("one/one.c", constant(10))
    server = serve(env=compiler.env)
    compiler.hold()
    root.write("one/one.c", constant(11))
    waiting = start("wait", "one", "--root", root.path)
    wait_until_connected(waiting.pid)
    end_by_ctrl_c(waiting)
    compiler.go()
    assert server.wait("save.done", generation=2)


def test_ctrl_c_ends_who_waits_for_an_answer(root, serve):
    root.write("one/one.c", constant(10).replace("	return 0;", "	for (;;)\n		;"))
    root.write("one/deployment.yaml", "request_timeout_s: 2\n")
    server = serve()
    asking = start("infer", "one", "1", "--root", root.path)
    wait_until_in_flight(server)
    end_by_ctrl_c(asking)
    server.wait("worker.died")  # its time is up


def test_status_without_a_server_says_so(tmp_path):
    run = devserve("status", "--url", "http://127.0.0.1:1", cwd=tmp_path)
    assert run.returncode == 69 and "127.0.0.1:1" in run.stderr and run.stdout == ""


def test_wait_tells_by_its_exit_code_what_became_of_the_save(server):
    where = server.root.path.parent
    server.save("one/one.c", constant(11))
    assert devserve("wait", "one", cwd=where).returncode == 0
    server.save("one/one.c", constant("1 +"))
    run = devserve("wait", "one", cwd=where)
    assert run.returncode == 4, run
    assert devserve("wait", "absent", cwd=where).returncode not in (0, 4)


def test_wait_waits_for_a_save_that_was_just_made(server):
    server.root.rename_over("one/one.c", constant(11))
    assert devserve("wait", "one", cwd=server.root.path.parent).returncode == 0
    assert server.infer("one").value == 11


def test_check_builds_and_tries_everything(root):
    root.write("good/good.c", constant(1))
    run = devserve("check", root.path)
    assert run.returncode == 0, run
    root.write("bad/bad.c", constant("1 +"))
    run = devserve("check", root.path)
    assert run.returncode == 4, run
    assert "bad.c" in run.stdout + run.stderr
    assert run.stdout.endswith("devserve  1 of 2 can serve\n"), run
    assert "good  can serve" in run.stdout and "serving" not in run.stdout and "serves" not in run.stdout, run


def test_a_check_that_is_read_by_a_program_tells_no_progress(root):
    for i in range(12):
        root.write(f"p{i}/p.c", constant(i))
    run = devserve("check", root.path)
    assert run.stdout.endswith("devserve  12 of 12 can serve\n") and "building" not in run.stdout, run


def test_check_tries_what_it_built(root):
    root.write("crash/crash.c", constant(
        1, "#include <stdlib.h>\n__attribute__((constructor)) static void boom(void) { abort(); }"))
    run = devserve("check", root.path)
    assert run.returncode == 4, run


def test_check_says_that_there_was_nothing_to_check(root):
    run = devserve("check", root.path)
    assert run.returncode == 0 and "there is no plugin yet" in run.stdout, run
    assert f"'devserve new NAME --root {root.path}' makes one" in run.stdout, run


def test_ctrl_c_ends_a_check(root, compiler, tmp_path):
    root.write("one/one.c", constant(1))
    compiler.hold()
    check = subprocess.Popen([str(BUILD / "devserve"), "check", str(root.path), "--json"], text=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env={**os.environ, **compiler.env})
    assert any('"build.started"' in line for line in check.stdout)
    check.send_signal(signal.SIGINT)
    assert check.wait(PATIENCE) == 130


def is_compiler(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "cc"


def test_ctrl_c_ends_a_test_without_a_plan(root, compiler):
    root.write("one/one.c", constant(1))
    compiler.hold()
    test = subprocess.Popen([str(BUILD / "devserve"), "test", "--root", str(root.path)], text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env={**os.environ, **compiler.env})
    children = pathlib.Path(f"/proc/{test.pid}/task/{test.pid}/children")
    deadline = time.monotonic() + PATIENCE
    while not any(is_compiler(pid) for pid in children.read_text().split()) and time.monotonic() < deadline:
        pass
    test.send_signal(signal.SIGINT)
    assert test.wait(PATIENCE) == 130
    assert test.stdout.read().splitlines() == ["TAP version 13", "Bail out! it was interrupted"]


def test_check_says_what_it_takes_where_it_is_given_the_name_of_a_deployment(root):
    root.write("one/one.c", constant(1))
    run = devserve("check", "one", cwd=root.path.parent)
    assert run.returncode == 1 and "and one is one of ./plugins; 'devserve test one'" in run.stderr, run


def test_check_as_json_is_one_object_a_line(root):
    root.write("good/good.c", constant(1))
    run = devserve("check", root.path, "--json")
    events = [json.loads(line) for line in run.stdout.splitlines()]
    assert run.returncode == 0 and events and all("event" in e for e in events)


@pytest.mark.parametrize("words", [["--prot", "1"], ["--port"], ["--port", "x"], ["statsu"], ["status", "--nope"]])
def test_a_mistake_is_2_with_a_sentence(tmp_path, words):
    run = devserve(*words, cwd=tmp_path)
    assert run.returncode == 2 and run.stderr and not run.stdout, run


def test_a_root_that_is_not_there_is_1(tmp_path):
    run = devserve(tmp_path / "absent")
    assert run.returncode == 1 and "absent" in run.stderr, run


def test_a_busy_port_is_1_and_names_it(server):
    port = server.url.rsplit(":", 1)[1]
    (server.root.path.parent / "empty").mkdir()
    run = devserve(server.root.path.parent / "empty", "--port", port)
    assert run.returncode == 1 and port in run.stderr, run


def test_help_and_version_are_for_stdout(tmp_path):
    for words in (["--help"], ["--version"], ["help", "wait"], ["version"]):
        run = devserve(*words, cwd=tmp_path)
        assert run.returncode == 0 and run.stdout and not run.stderr, run


@pytest.mark.parametrize("sig, codes", [(signal.SIGINT, (0, 130)), (signal.SIGTERM, (0, 143))])
def test_a_signal_ends_it_in_good_order(server, sig, codes):
    assert server.stop(sig) in codes
    assert server.seen("server.stopped")


@pytest.mark.parametrize("file, mark", [("deployment.yaml", "deployment.yaml"), ("golden/first/in/X.npy", "golden")])
def test_a_deployment_is_not_taken_for_a_root(root, file, mark):
    root.write("one/one.c", constant(1))
    root.write(f"one/{file}", "")
    said = devserve("check", root.path / "one")
    assert said.returncode == 1 and f"is a deployment, with a {mark} of its own" in said.stderr, said
    assert not (root.path / "one/.devserve").exists()


def test_the_directory_of_a_deployment_is_told_from_a_root_where_its_root_is_known(root, server):
    root.write("many/a.c", constant(1))
    for words in (["status", root.path / "many"], ["wait", "many", "--root", root.path / "many"]):
        said = devserve(*words)
        assert said.returncode == 69, said
        assert said.stderr == f"devserve: no server runs for {root.path}/many: it is a deployment of {root.path}, so name that\n"
    (root.path / "many/a.c").unlink()
    assert "starts one" in devserve("status", root.path / "many").stderr  # headers that deployments share, or a root to be


def test_who_names_a_deployment_where_a_root_is_meant_is_told_so(root, tmp_path):
    root.write("one/one.c", constant(1))
    said = devserve("status", "one", cwd=tmp_path)
    assert said.returncode == 69 and "there is no directory one, but a deployment" in said.stderr, said
    assert devserve("status", "two", cwd=tmp_path).stderr.rstrip().endswith("there is no directory two")
