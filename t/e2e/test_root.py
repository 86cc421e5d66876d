# SPDX-License-Identifier: MIT
"""The root itself goes, moves away, and comes back, while it serves."""

import shutil

from devserve import Client, constant


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
