# SPDX-License-Identifier: MIT
"""What outlives the server: numbers and images."""

import os

import pytest

from devserve import constant, deployment, x


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


BROKEN = "this is no C\n"
DEADLY = deployment("\tif (x == 1)\n\t\t__builtin_trap();\n\t*y = 12;")


def save_a_crash(server):
    server.save("one/one.c", DEADLY)
    assert server.new_client().infer("one", x(1)).status == 200  # by the generation before
    server.wait("deployment.fell-back", deployment="one")


# What lies on disk at the restart, and what a save of it said; what served, it or not, was generation 2.
@pytest.mark.parametrize("spoil, outcome, stale", [
    (lambda root, server: root.write("one/one.c", BROKEN), "build-failed", "build-failed"),
    (lambda root, server: save_a_crash(server), "refused", "crashed"),
    (lambda root, server: root.write("one/one.c", constant(1, "#include <stdlib.h>\n__attribute__((constructor))"
                                     "static void no(void) { abort(); }\n")), "trial-failed", "trial-failed"),
    (lambda root, server: root.write("one/deployment.yaml", "num_replicas: many\n"), "build-failed", "build-failed"),
], ids=["doesn't build", "crashed", "can't be loaded", "has no good settings"])
def test_what_served_before_a_restart_serves_where_its_source_no_longer_can(root, serve, spoil, outcome, stale):
    root.write("one/one.c", constant(10))
    first = serve()
    first.save("one/one.c", constant(11))
    spoil(root, first)
    first.stop()

    second = serve()
    done = second.wait("save.done", deployment="one")
    assert (done["outcome"], done["generation"]) == (outcome, 2)
    answer = second.infer("one")
    assert (answer.value, answer.generation, answer.stale) == (11, 2, stale)
    assert "generation 2 serves, as before the restart" in second.seen("notice", deployment="one")[-1]["reason"]
    second.stop()

    third = serve()  # its record was kept, too
    assert third.infer("one").value == 11
    (root.path / "one/deployment.yaml").unlink(missing_ok=True)
    third.save("one/one.c", constant(13))
    answer = third.infer("one")
    assert answer.value == 13 and answer.generation > 2 and answer.stale is None


def test_nothing_serves_where_neither_the_source_nor_the_image_is_there(root, serve):
    root.write("one/one.c", constant(10))
    serve().stop()
    root.write("one/one.c", BROKEN)
    for image in (root.path / ".devserve/images").rglob("*"):
        image.unlink()
    server = serve()
    assert server.wait("save.done", deployment="one")["outcome"] == "build-failed"
    assert server.infer("one").status == 503


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


def test_a_state_directory_that_was_deleted_meanwhile_is_believed_after_a_restart(root, serve, tmp_path):
    root.write("one/one.c", constant(10))
    server = serve()
    while not (root.path / "compile_commands.json").exists():
        server.status()  # it comes when the server has nothing else to do
    (root.path / ".devserve").rename(tmp_path / "gone")  # in one go: the history is being written
    server.save("one/one.c", constant(20))
    while not (root.path / ".devserve/run.json").exists():
        server.client.call("GET", "/v2/health/live")
    server.stop()
    server = serve()
    assert server.infer("one").value == 20
    assert server.seen("notice") == []


def test_a_state_directory_without_its_stamp_is_built_again_and_says_why(root, serve):
    root.write("one/one.c", constant(10))
    serve().stop()
    (root.path / ".devserve/stamp").unlink()
    notice = serve().wait("notice")["reason"]
    assert "has lost its stamp" in notice and "another version" not in notice, notice
