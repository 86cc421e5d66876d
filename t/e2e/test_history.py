# SPDX-License-Identifier: MIT
"""The history of saves: what is kept, what is shown, and that it harms nobody."""

import contextlib
import http.client
import json
import os
import signal
import sqlite3
import threading
from random import Random

import pytest

from devserve import LONG, Client, Server, constant, deployment, devserve, fill, wait_until_older, x

BROKEN = "this is no C\n"


def database(root):
    return root.path / ".devserve/history.db"


def listed(root, *args):
    """What `devserve history` says, as data."""
    said = devserve("history", "--json", "-n", "0", "--root", str(root.path), *args)
    assert said.returncode == 0, said.stderr
    return [json.loads(line) for line in said.stdout.splitlines()]


def tell(root, *args):
    said = devserve("history", "--root", str(root.path), *args)
    assert said.returncode == 0, said.stderr
    return said.stdout


def select(path, sql):
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        return db.execute(sql).fetchall()


def is_whole(root):
    return select(database(root), "PRAGMA integrity_check") == [("ok",)]


def test_every_save_is_in_it_with_what_became_of_it(root, serve):
    root.write("one/one.c", constant(10))
    root.write("one/deployment.yaml", "cflags: [-DFINE]\n")
    server = serve()
    server.save("one/one.c", BROKEN)
    done = server.save("one/one.c", constant(11))
    server.stop()

    first, failed, second = listed(root, "one")
    assert (first["outcome"], first["generation"], first["before"]) == ("swapped", 1, 0)
    assert failed["outcome"] == "build-failed" and "generation" not in failed
    assert "one.c:1" in failed["reason"]
    assert (second["generation"], second["before"], second["kept"]) == (2, 1, True)
    assert second["source"] != first["source"] and second["image"] != first["image"]
    assert "gcc version" in second["compiler"] and "-O3" in second["flags"] and "-DFINE" in second["flags"]
    assert second["save"]["stages"] == done["stages"]
    assert second["took_ms"] == pytest.approx(done["took_ms"], abs=0.01)


def test_it_tells_people_the_same(root, serve):
    root.write("one/one.c", constant(10))
    root.write("two/two.c", constant(20))
    server = serve()
    server.save("one/one.c", BROKEN)
    server.save("one/one.c", constant(11))
    server.stop()

    lines = tell(root, "one").splitlines()
    assert lines[0].startswith("to serving") and "▁" in lines[0], lines
    assert lines[2].split() == ["GEN", "SAVED", "TO", "SERVING", "SERVED"], lines
    assert lines[3].split()[0] == "1" and " ms " in lines[3], lines
    assert lines[4].split()[0] == "-" and "build-failed: one.c:1:1" in lines[4], lines
    assert lines[5].split()[0] == "2", lines
    assert tell(root, "one", "-n", "1").splitlines()[3:] == lines[5:]
    summary = tell(root)
    assert "one  3 saves, 2 generations" in summary and "two  1 save, 1 generation" in summary, summary


def test_a_path_that_the_environment_has_twice_makes_no_new_generation(root, serve):
    root.write("one/one.c", constant(1))
    env = {"LIBRARY_PATH": "/usr/lib:/opt/lib", "CPATH": "/opt/include"}
    for again, generation in (({}, 1), ({"LIBRARY_PATH": "/usr/lib:/opt/lib:/usr/lib:/opt/lib"}, 1),
                              ({"LIBRARY_PATH": "/opt/lib:/usr/lib"}, 2)):
        server = serve(env={**env, **again})
        assert server.infer("one").generation == generation, again
        wait_until_older(root.path)
        server.stop()


def test_a_save_that_changes_nothing_is_not_in_it_and_a_restart_is_no_new_generation(root, serve):
    root.write("one/one.c", constant(10))
    serve().stop()
    server = serve()
    mark = server.mark()
    root.write("one/one.c", constant(10))
    server.wait("save.done", mark, outcome="unchanged")
    server.stop()
    assert [row["generation"] for row in listed(root, "one")] == [1]
    assert len(select(database(root), "SELECT * FROM serving")) == 2


def test_it_knows_what_served_and_what_crashed(root, serve):
    root.write("one/one.c", constant(10))
    server = serve()
    server.save("one/one.c", deployment("\tif (x == 1)\n\t\t__builtin_trap();\n\t*y = 12;"))
    assert server.infer("one", x(1)).status == 200  # by the generation before
    server.wait("crash.report", deployment="one")
    server.wait("deployment.fell-back", deployment="one")
    server.stop()

    first, second = listed(root, "one")
    assert (first["crashes"], second["crashes"]) == (0, 1)
    assert first["served_s"] > 0 and second["served_s"] > 0 and not first["serves"]
    assert "1 crash" in tell(root, "one").splitlines()[4]
    served = listed(root, "one", "--served")
    assert [(s["generation"], s["why"]) for s in served] == [(1, "swap.done"), (2, "swap.done"),
                                                             (1, "deployment.fell-back")]
    assert all(a["until"] == b["since"] for a, b in zip(served, served[1:]))
    assert "gen 1  the one before crashed" in tell(root, "one", "--served").splitlines()[2]
    assert select(database(root), "SELECT count(*) FROM serving WHERE until IS NULL") == [(0,)]


def test_sources_are_kept_as_they_were_compiled(root, serve):
    root.write("shared/value.h", "#define VALUE 10\n")
    root.write("one/one.c", '#include "shared/value.h"\n' + constant("VALUE"))
    server = serve()
    server.save("shared/value.h", "#define VALUE 11\n", deployment="one")
    server.stop()
    rows = select(database(root), "SELECT generation, path, hash FROM source ORDER BY generation, path")
    assert [row[:2] for row in rows] == [(1, "one/one.c"), (1, "shared/value.h"), (2, "one/one.c"),
                                         (2, "shared/value.h")]
    assert rows[0][2] == rows[2][2] and rows[1][2] != rows[3][2]
    assert select(database(root), "SELECT count(*) FROM content") == [(3,)]


def test_a_name_that_nothing_has_gets_a_hint(root, serve):
    said = devserve("history", "--root", str(root.path))
    assert said.returncode == 1 and "there is no history yet" in said.stderr
    root.write("one/one.c", constant(10))
    serve().stop()
    said = devserve("history", "onw", "--root", str(root.path))
    assert said.returncode == 1 and "did you mean 'one'?" in said.stderr


def test_what_is_told_is_written_although_the_server_is_killed(root, serve, tmp_path):
    root.write("one/one.c", constant(0))
    server = Server(root, log=tmp_path / "killed").wait_listening()
    server.wait("server.ready")
    for i in range(1, 6):
        server.save("one/one.c", constant(i))
    root.rename_over("one/one.c", constant(6))  # one is under way
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()

    assert is_whole(root)
    before = [row["generation"] for row in listed(root, "one")]
    assert before in ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6]), before  # the last may have been on its way
    assert not any(row["serves"] for row in listed(root, "one"))
    second = serve()
    assert second.infer("one").value == 6
    assert [row["serves"] for row in listed(root, "one")][-1] is True
    second.stop()
    assert select(database(root), "SELECT count(*) FROM session") == [(2,)]
    assert select(database(root), "SELECT count(*) FROM serving WHERE until IS NULL") == [(0,)]


def written(server):
    """All that it has told is in the file now."""
    answer = Client(server.url, server.run_json()["token"]).call("GET", "/-/written")
    assert answer.status == 200 and answer.json["written"], answer


def test_no_kill_at_any_moment_leaves_half_of_it(root, tmp_path):
    root.write("one/one.c", constant(0))
    value, promised, told, random = 0, set(), set(), Random(6)
    for life in range(100 if LONG else 6):
        server = Server(root, log=tmp_path / f"life.{life}").wait_listening()
        server.wait("server.ready")
        killer = threading.Timer(random.uniform(0, 0.5), server.process.kill)
        killer.start()
        told_now = set()  # what was told just before the end of a life may be lost with it
        try:
            while True:
                value += 1
                done = server.save("one/one.c", constant(value) if value % 4 else f"{BROKEN}/* {value} */\n")
                told_now.add(done["generation"])
                if random.random() < 0.3:
                    written(server)
                    promised |= told_now
        except (AssertionError, OSError, http.client.HTTPException):
            assert server.process.wait() == -signal.SIGKILL
        server.reader.join()
        told |= told_now | {e["generation"] for e in server.seen("swap.done")}
        killer.join()
        assert is_whole(root)
        generations = [row["generation"] for row in listed(root, "one") if "generation" in row]
        assert generations == sorted(set(generations)), generations
        assert promised <= set(generations) | {0} and set(generations) <= told, (promised, generations, told)


# The history can't be written, and nobody is hurt.

def serves_on(server, value):
    done = server.save("one/one.c", constant(value))
    assert done["outcome"] == "swapped"
    assert server.infer("one").value == value


def notice(server, words, after=0):
    while True:
        event = server.wait("notice", after)
        if words in event["reason"]:
            return event
        after = server.events.index(event) + 1


def test_a_file_that_is_no_database_is_put_aside_with_a_sentence(root, serve):
    root.write("one/one.c", constant(10))
    root.write(".devserve/history.db", "surely no database\n" * 100)
    server = serve()
    assert "history.db.broken" in notice(server, "was damaged")["reason"]
    serves_on(server, 11)
    server.stop()
    assert [row["generation"] for row in listed(root, "one")] == [1, 2]
    assert root.read(".devserve/history.db.broken").startswith("surely")


def test_a_database_that_is_damaged_in_the_middle_is_put_aside_too(root, serve):
    root.write("one/one.c", constant(10))
    serve().stop()
    with open(database(root), "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (os.path.getsize(database(root)) - 4096))
    server = serve()
    notice(server, "was damaged")
    serves_on(server, 11)
    server.stop()
    assert is_whole(root)


def test_a_database_of_a_later_version_is_left_alone(root, serve):
    root.write("one/one.c", constant(10))
    serve().stop()
    select(database(root), "PRAGMA user_version = 1000")
    before = database(root).read_bytes()
    server = serve()
    notice(server, "is of a later version of devserve")
    serves_on(server, 11)
    server.stop()
    assert database(root).read_bytes() == before
    said = devserve("history", "one", "--root", str(root.path))
    assert said.returncode == 1 and "later version" in said.stderr


def test_a_database_that_somebody_locks_gets_its_rows_when_it_is_free(root, serve):
    root.write("one/one.c", constant(10))
    server = serve()
    server.save("one/one.c", constant(11))
    db = sqlite3.connect(database(root), isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    mark = server.mark()
    serves_on(server, 12)
    notice(server, "database is locked", mark)
    serves_on(server, 13)
    db.execute("ROLLBACK")
    db.close()
    server.stop()
    assert [row["generation"] for row in listed(root, "one")] == [1, 2, 3, 4]


def test_a_full_disk_costs_rows_at_most(root, serve, small_disk):
    root.write("one/one.c", constant(10))
    server = serve("--state-dir", str(small_disk))
    filler = fill(small_disk)
    mark = server.mark()
    for i in range(400):  # until the database's log needs another page
        server.save("one/one.c", f"{BROKEN}/* {i} */\n")
        if any("the history isn't written" in e["reason"] for e in server.seen("notice", mark)):
            break
    assert "full" in notice(server, "the history isn't written", mark)["reason"]
    assert server.infer("one").value == 10
    filler.unlink()
    serves_on(server, 11)
    server.stop()
    rows = listed(root, "one", "--state-dir", str(small_disk))
    assert [row["generation"] for row in rows if "generation" in row] == [1, 2]
    assert len(rows) == 2 + i + 1


def test_a_history_that_somebody_removes_begins_anew(root, serve):
    root.write("one/one.c", constant(10))
    server = serve()
    server.save("one/one.c", constant(11))
    for part in ("", "-wal", "-shm"):
        (root.path / f".devserve/history.db{part}").unlink(missing_ok=True)
    serves_on(server, 12)
    server.stop()
    assert [row["generation"] for row in listed(root, "one")] in ([3], [2, 3])  # it is written a moment later


def test_a_check_keeps_no_history(root):
    root.write("one/one.c", constant(10))
    assert devserve("check", str(root.path)).returncode == 0
    assert not database(root).exists()


def test_clean_leaves_the_history_unless_it_is_told_otherwise(root, serve):
    root.write("one/one.c", constant(10))
    server = serve()
    server.save("one/one.c", constant(11))
    written(server)
    assert devserve("clean", str(root.path)).returncode == 0
    assert [row["kept"] for row in listed(root, "one")] == [True, True]
    assert devserve("rollback", "one", "--root", str(root.path)).returncode == 0
    assert server.infer("one").value == 10
    assert devserve("clean", "--history", str(root.path)).returncode == 0
    assert not list((root.path / ".devserve/kept").iterdir())
    serves_on(server, 12)
    server.stop()
    assert [row["generation"] for row in listed(root, "one")] == [3]


def test_what_could_not_be_measured_is_not_told_as_unsure_nor_counted_in_silence(root, serve):
    root.write("one/one.c", constant(0))
    server = serve()
    for i in (1, 2):
        server.save("one/one.c", constant(i))
    server.stop()
    with contextlib.closing(sqlite3.connect(root.path / ".devserve/history.db")) as db, db:
        db.execute("UPDATE generation SET verdict = 'FASTER', ratio = 2, low = 1.9, high = 2.1 WHERE number = 2")
        db.execute("UPDATE generation SET verdict = 'UNSURE', ratio = NULL, low = NULL, high = NULL WHERE number = 3")
    page = tell(root, "one")
    assert "  unknown" in page and "unsure" not in page, page
    assert "2.00× generation 1, but for 1 that could not be measured" in page, page


def test_a_verdict_is_in_it(root, serve):
    slow = deployment("\tint32_t n = 0;\n\tfor (volatile int i = 0; i < 20000; i++)\n\t\tn += i;\n\t*y = x + 0 * n;")
    root.write("one/one.c", slow)
    server = serve()
    for n in range(20):
        server.infer("one", x(n))
    server.save("one/one.c", slow.replace("20000", "100"))
    told = server.wait("verdict", deployment="one", generation=2)
    server.stop()
    row = listed(root, "one")[1]
    assert row["verdict"]["verdict"] == told["verdict"]
    if "ratio" in told:
        assert row["verdict"]["ratio"] == pytest.approx(told["ratio"], abs=1e-4)
        assert [row["verdict"]["low"], row["verdict"]["high"]] == pytest.approx(told["interval"], abs=1e-4)
    if told["verdict"] == "FASTER":
        assert f"{told['ratio']:.2f}× faster [" in tell(root, "one")
