# SPDX-License-Identifier: MIT
"""What outlives the server: numbers and images."""

import os

from devserve import constant


def test_a_restart_keeps_the_number_and_the_image(root, serve):
    root.write("one/one.c", constant(10))
    first = serve()
    first.save("one/one.c", constant(11))
    first.save("one/one.c", constant(12))
    assert first.infer("one").generation == 3
    first.stop()

    second = serve()
    answer = second.infer("one")
    assert (answer.value, answer.generation) == (12, 3)
    assert second.wait("save.done", deployment="one").get("cached") is True
    done = second.save("one/one.c", constant(13))
    assert (done["outcome"], done["generation"]) == ("swapped", 4)


def test_a_change_while_it_was_away_is_a_new_generation(root, serve):
    root.write("one/one.c", constant(10))
    serve().stop()
    root.write("one/one.c", constant(11))
    answer = serve().infer("one")
    assert (answer.value, answer.generation) == (11, 2)


def test_a_lost_image_is_built_again_under_its_number(root, serve):
    root.write("one/one.c", constant(10))
    server = serve()
    server.save("one/one.c", constant(11))
    server.stop()
    for image in (root.path / ".devserve").rglob("*.so"):
        image.unlink()
    answer = serve().infer("one")
    assert (answer.value, answer.generation) == (11, 2)


def test_what_another_version_left_is_built_again_under_its_number(root, serve):
    root.write("one/one.c", constant(10))
    server = serve()
    server.save("one/one.c", constant(11))
    server.stop()
    root.write(".devserve/stamp", "devserve 0.0.0\n")
    second = serve()
    assert "another version" in second.seen("notice")[0]["reason"]
    assert not second.wait("save.done", deployment="one").get("cached")
    answer = second.infer("one")
    assert (answer.value, answer.generation) == (11, 2)
    second.stop()
    assert not serve().seen("notice")


def test_nothing_is_left_running(root, serve):
    root.write("one/one.c", constant(10))
    server = serve()
    pids = server.worker_pids("one")
    assert pids and all(os.path.exists(f"/proc/{pid}") for pid in pids)
    server.stop()
    session = server.process.pid
    left = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            left.append(open(f"/proc/{pid}/cmdline").read())
    assert left == []


def test_the_token_is_for_the_owner_alone(root, serve):
    server = serve()
    assert (root.path / ".devserve/run.json").stat().st_mode & 0o777 == 0o600
    answer = server.client.call("GET", "/-/status")
    assert answer.status in (401, 403)
    server.stop()
    assert not (root.path / ".devserve/run.json").exists()
