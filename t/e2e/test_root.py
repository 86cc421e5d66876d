# SPDX-License-Identifier: MIT
"""The root itself goes, moves away, and comes back, while it serves."""

import os
import pathlib
import shutil
import signal

from devserve import Client, constant, devserve, wait_until_gone


def start(serve, **how):
    server = serve(**how)
    server.token = server.run_json()["token"]
    return server


def wait_gone(server, mark):
    """Until it is missed, and what is there has been looked at."""
    server.wait("notice", mark, reason=f"{server.root.path} is gone: deleted, moved or unmounted. "
                                       "Waiting for it to come back.")
    Client(server.url, server.token).call("GET", "/-/wait?deployment=one")


def test_what_serves_goes_on_while_its_root_is_away(root, serve, tmp_path):
    root.write("one/one.c", constant(10))
    server = start(serve)
    away, mark = tmp_path / "away", server.mark()
    root.path.rename(away)
    wait_gone(server, mark)
    assert server.infer("one").value == 10
    away.rename(root.path)
    root.write("one/one.c", constant(20))
    assert server.wait("save.done", mark, deployment="one")["outcome"] == "swapped"
    assert server.infer("one").value == 20
    assert not server.seen("deployment.removed", mark)


def test_what_serves_goes_on_when_its_root_is_deleted(root, serve):
    root.write("one/one.c", constant(10))
    server = start(serve)
    mark = server.mark()
    (root.path / ".devserve").rename(root.path.parent / "old")
    shutil.rmtree(root.path.rename(root.path.parent / "rest"))
    wait_gone(server, mark)
    assert server.infer("one").value == 10
    root.write("one/one.c", constant(10))
    root.write("one/one.c", constant(20))
    server.wait("save.done", mark, deployment="one", outcome="swapped")
    assert server.infer("one").value == 20


def test_a_root_that_moves_away_amid_a_compilation_is_not_made_anew(root, serve, compiler, tmp_path):
    root.write("one/one.c", constant(10))
    server = start(serve, env=compiler.env)
    away, mark = tmp_path / "away", server.mark()
    compiler.hold()
    root.rename_over("one/one.c", constant(20))
    server.wait("build.started", mark, deployment="one")
    root.path.rename(away)
    compiler.go()
    done = server.wait("save.done", mark, deployment="one")
    wait_gone(server, mark)
    assert done["outcome"] == "build-failed", done
    assert not root.path.exists()
    mark = server.mark()
    away.rename(root.path)
    server.wait("save.done", mark, deployment="one", outcome="swapped")
    assert server.infer("one").value == 20


def tree(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob("*"))


def of_servers(state):
    """The directories in it that belong to one server each."""
    return sorted(p for kind in ("tmp", "generations") for p in (state / kind).iterdir())


def test_a_start_that_fails_leaves_nothing(root, serve, tmp_path):
    root.write("one/one.c", constant(10))
    port = serve().url.rsplit(":", 1)[1]
    other, known = tmp_path / "other", tmp_path / "known"
    other.mkdir()
    (known / "here").mkdir(parents=True)
    for where in [], ["--state-dir", "sd/x/y"], ["--state-dir", known / "here"]:
        failed = devserve(other, "--port", port, *where, cwd=tmp_path)
        assert failed.returncode == 1, failed
    assert tree(other) == [] and not (tmp_path / "sd").exists()
    assert of_servers(known / "here") == []


def test_a_second_server_leaves_the_first_ones_state(root, serve):
    root.write("one/one.c", constant(10))
    server = serve()
    before = of_servers(root.path / ".devserve")
    assert devserve(root.path, "--port", 0).returncode == 1
    assert of_servers(root.path / ".devserve") == before
    assert server.run_json()["url"] == server.url
    assert server.infer("one").value == 10


def test_a_server_whose_root_was_moved_takes_its_run_file_along_when_it_ends(root, serve, tmp_path):
    root.write("one/one.c", constant(10))
    server = start(serve)
    away, mark = tmp_path / "away", server.mark()
    root.path.rename(away)
    wait_gone(server, mark)
    assert (away / ".devserve/run.json").exists()
    server.stop()
    assert not (away / ".devserve/run.json").exists() and not root.path.exists()


def test_a_server_that_was_killed_and_that_nobody_has_waited_for_is_none(root, serve):
    root.write("one.c", constant(1))
    killed = serve()
    os.kill(killed.process.pid, signal.SIGKILL)
    wait_until_gone(killed.process.pid)
    state = pathlib.Path(f"/proc/{killed.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    assert state == "Z", "somebody has waited for it"
    assert serve().infer("one").value == 1
    killed.process.wait()
    killed.process.returncode = 0  # the fixture need not wonder
