# SPDX-License-Identifier: MIT
"""The commands beside the server, and their exit codes."""

import json
import signal

import pytest

from devserve import constant, devserve


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


def test_check_tries_what_it_built(root):
    root.write("crash/crash.c", constant(
        1, "#include <stdlib.h>\n__attribute__((constructor)) static void boom(void) { abort(); }"))
    run = devserve("check", root.path)
    assert run.returncode == 4, run


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
