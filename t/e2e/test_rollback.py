# SPDX-License-Identifier: MIT
"""A generation that served serves again: at once, under its number, until the next save."""

import contextlib
import json
import shutil
import signal
import sqlite3
import threading

import pytest

from devserve import Server, constant, deployment, devserve, x


def rollback(root, *args):
    return devserve("rollback", "--root", str(root.path), *args)


def rolled(root, *args):
    said = rollback(root, "--json", *args)
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def refused(root, *args):
    said = rollback(root, *args)
    assert said.returncode == 1, said.stdout
    return said.stderr


@pytest.fixture
def third(root, serve):
    """A server whose deployment `one` has come to its third generation; they answer 11, 12, 13."""
    root.write("one/one.c", constant(11))
    server = serve()
    server.save("one/one.c", constant(12))
    assert server.save("one/one.c", constant(13))["generation"] == 3
    return server


def test_the_generation_before_serves_again_under_its_number(root, third):
    mark = third.mark()
    answer = rolled(root, "one")
    assert (answer["generation"], answer["from"]) == (2, 3)
    served = third.infer("one")
    assert (served.value, served.generation, served.stale) == (12, 2, "rolled-back")
    swap = third.wait("swap.done", mark, deployment="one")
    assert (swap["generation"], swap["from"], swap["cached"]) == (2, 3, True)
    told = third.wait("deployment.rolled-back", mark, deployment="one")
    assert (told["generation"], told["from"]) == (2, 3)
    assert not third.seen("build.started", mark) and not third.seen("save.done", mark)
    assert rollback(root, "one").stdout.startswith("one  gen 2→1  rolled back in ")
    assert third.infer("one").value == 11
    assert "no generation of one before" in refused(root, "one")


def test_forward_again_and_nothing_is_stale(root, third):
    rolled(root, "one", "1")
    assert third.infer("one").value == 11
    rolled(root, "one", "3")
    served = third.infer("one")
    assert (served.value, served.generation, served.stale) == (13, 3, None)


def test_the_next_save_is_a_save_like_any_other(root, third):
    rolled(root, "one", "1")
    mark = third.mark()
    root.write("one/one.c", constant(13))  # the same bytes: nothing has changed
    third.wait("save.done", mark, outcome="unchanged")
    assert third.infer("one").stale == "rolled-back"
    done = third.save("one/one.c", constant(14))
    assert (done["generation"], done["from"]) == (4, 1)
    assert (third.infer("one").value, third.infer("one").stale) == (14, None)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_it_holds_over_a_restart_until_the_source_changes(root, serve, tmp_path, how):
    root.write("one/one.c", constant(11))
    first = Server(root, log=tmp_path / "first").wait_listening()
    first.wait("server.ready")
    first.save("one/one.c", constant(12))
    rolled(root, "one")
    first.process.send_signal(how)
    first.process.wait()
    second = serve()
    served = second.infer("one")
    assert (served.value, served.generation, served.stale) == (11, 1, "rolled-back")
    assert second.wait("swap.done", deployment="one")["generation"] == 1
    done = second.save("one/one.c", constant(13))
    assert (done["outcome"], done["generation"]) == ("swapped", 3)
    second.stop()
    third = serve()
    assert (third.infer("one").generation, third.infer("one").stale) == (3, None)


def test_wait_status_and_history_say_the_same_of_it_before_a_restart_and_after(root, serve):
    root.write("one/one.c", constant(11))
    server = serve()
    server.save("one/one.c", constant(12))
    rolled(root, "one")

    def said():
        wait = devserve("wait", "one", "--root", str(root.path))
        history = devserve("history", "one", "--root", str(root.path))
        return wait.returncode, wait.stdout, server.status()["deployments"][0]["last_outcome"], len(history.stdout.splitlines())

    before = said()
    assert before[:3] == (0, "one  gen 1  rolled-back\n", "rolled-back"), before
    server.stop()
    server = serve()
    assert said() == before


def test_without_its_image_the_newest_source_serves_after_all(root, serve):
    root.write("one/one.c", constant(11))
    first = serve()
    first.save("one/one.c", constant(12))
    rolled(root, "one")
    first.stop()  # and has written all
    assert "aside" in root.read(".devserve/deployments/one")
    assert devserve("clean", str(root.path)).returncode == 0
    second = serve()
    assert (second.infer("one").value, second.infer("one").stale) == (12, None)


def test_a_save_that_was_being_built_is_rolled_back_from_too(root, serve, compiler):
    root.write("one/one.c", constant(11))
    server = serve(env=compiler.env)
    server.save("one/one.c", constant(12))
    compiler.hold()
    mark = server.mark()
    root.rename_over("one/one.c", constant(13))
    server.wait("build.started", mark)
    assert rolled(root, "one")["generation"] == 1
    compiler.go()
    done = server.wait("save.done", mark)
    assert done["outcome"] == "refused" and "rolled back" in done["reason"], done
    answer = server.infer("one")
    assert (answer.value, answer.generation, answer.stale) == (11, 1, "rolled-back")
    assert server.save("one/one.c", constant(14))["generation"] == 3


def test_what_served_goes_on_where_it_cannot_be(root, third):
    assert "there is no generation 9 of one" in refused(root, "one", "9")
    assert "generation 3 is what serves" in refused(root, "one", "3")
    assert "a generation is a number" in refused(root, "one", "three")
    assert "did you mean 'one'" in refused(root, "onw", "1")
    shutil.rmtree(root.path / ".devserve/kept")
    assert "isn't kept any more" in refused(root, "one", "1")
    assert third.infer("one").generation == 3


def test_that_one_was_refused_is_told_by_the_server_too(root, serve, tmp_path):
    flag = tmp_path / "flag"
    root.write("one/one.c", with_create(constant(11, FAILS_IF.replace("FLAG", str(flag)))))
    server = serve()
    server.save("one/one.c", constant(12))
    for number in ("9", "2", "1"):
        mark = server.mark()
        flag.touch()
        said = refused(root, "one", number).split(": ", 1)[1].strip()
        notice = server.wait("notice", mark, deployment="one")
        assert notice["reason"] == f"not rolled back: {said}", said
        assert notice["generation"] == 2


FAILS_IF = """
#include <unistd.h>
static int create(const struct devserve_host *host, void **ret)
{
	(void)host, (void)ret;
	return access("FLAG", F_OK) == 0 ? -5 : 0;
}
"""


def with_create(source):
    return source.replace(".infer = infer,", ".infer = infer, .create = create,")


def test_a_save_that_gave_way_to_one_that_failed_comes_to_serve_after_all(root, serve, gate, tmp_path):
    flag = tmp_path / "flag"
    root.write("one/one.c", with_create(constant(11, FAILS_IF.replace("FLAG", str(flag)))))
    server = serve()
    server.save("one/one.c", constant(12))
    flag.touch()
    gate.shut()
    mark = server.mark()
    waits = gate.source + FAILS_IF.replace('return access("FLAG", F_OK) == 0 ? -5 : 0;', f'close(open("{tmp_path}/note", O_CREAT | O_RDWR, 0600));\n\tpass_gate();\n\treturn 0;')
    root.rename_over("one/one.c", with_create(constant(13, waits)))
    while not (tmp_path / "note").exists():
        pass
    assert "create() returned -5" in refused(root, "one", "1")
    done = server.wait("save.done", mark)
    assert (done["outcome"], done["reason"]) == ("superseded", "generation 1 is to serve again")
    gate.open()
    assert server.wait("save.done", mark, outcome="swapped")["generation"] == 3
    assert (server.infer("one").value, server.infer("one").stale) == (13, None)


def test_no_request_is_lost_by_it(root, third):
    failed, done = [], threading.Event()

    def ask():
        client = third.new_client()
        while not done.is_set():
            answer = client.infer("one")
            if answer.status != 200 or answer.value != 10 + answer.generation:
                failed.append(answer)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in (1, 3, 2, 1, 2, 3) * 3:
        rolled(root, "one", str(number))
        assert third.infer("one").generation == number
    done.set()
    for thread in threads:
        thread.join()
    assert not failed


def test_a_crash_of_what_was_rolled_back_to_is_survived(root, serve):
    root.write("one/one.c", deployment("\tif (x == 1)\n\t\t__builtin_trap();\n\t*y = 11;"))
    server = serve()
    server.save("one/one.c", constant(12))
    rolled(root, "one")
    assert server.infer("one").value == 11
    assert server.infer("one", x(1)).value == 12  # by the one that was rolled back from
    server.wait("deployment.fell-back", deployment="one")
    assert server.infer("one").generation == 2


def served(root):
    with contextlib.closing(sqlite3.connect(root.path / ".devserve/history.db")) as db:
        return db.execute("SELECT generation, why FROM serving ORDER BY id").fetchall()


def test_the_history_has_it(root, third):
    rolled(root, "one", "1")
    third.stop()
    assert served(root) == [(1, "swap.done"), (2, "swap.done"), (3, "swap.done"), (1, "deployment.rolled-back")]
    said = devserve("history", "one", "--json", "--root", str(root.path))
    assert [json.loads(line)["generation"] for line in said.stdout.splitlines()] == [1, 2, 3]


def test_what_is_pinned_is_kept_beyond_the_bounds(root, serve):
    root.write("one/one.c", constant(0))
    server = serve()
    assert devserve("pin", "one", "--root", str(root.path)).stdout == "one  gen 1  pinned\n"
    for i in range(1, 71):
        server.save("one/one.c", constant(i))
    said = devserve("history", "one", "-n", "0", "--json", "--root", str(root.path))
    rows = [json.loads(line) for line in said.stdout.splitlines()]
    kept = [row["generation"] for row in rows if row["kept"]]
    assert kept[0] == 1 and kept[-50:] == list(range(22, 72)) and 2 not in kept, kept
    assert [row["generation"] for row in rows if row["pinned"]] == [1]
    assert "isn't kept any more" in refused(root, "one", "2")
    rolled(root, "one", "1")
    assert server.infer("one").value == 0
    assert devserve("unpin", "one", "1", "--root", str(root.path)).stdout == "one  gen 1  unpinned\n"
    assert "isn't kept any more" in devserve("pin", "one", "2", "--root", str(root.path)).stderr
    assert "no generation 99" in devserve("pin", "one", "99", "--root", str(root.path)).stderr
