# SPDX-License-Identifier: MIT
"""What a person waits for who looks at the history of a deployment, or wants its last good code back."""

import http.client
import json
import sqlite3
import time

from commands import compare, row
from harness import Server, binary_request, median, quartiles
from rows import MS, PLUGINS, Row, ms, simple_inputs

MANY = 10_000


def fill(db):
    """As `MANY` saves a second apart would have left it: every third with a verdict, every hundredth crashed."""
    db.execute("DELETE FROM save")
    db.execute("DELETE FROM serving")
    columns = [c[1] for c in db.execute("PRAGMA table_info(generation)") if c[1] not in ("number", "at", "before")]
    copied = ", ".join(columns)
    at, = db.execute("SELECT at FROM generation").fetchone()
    for n in range(1, MANY + 1):
        if n > 1:
            db.execute(f"INSERT INTO generation(number, at, before, {copied}) SELECT ?, ?, ?, {copied} FROM generation"
                       " WHERE number = 1", (n, at + 1000 * n, n - 1))
        db.execute("INSERT INTO save(deployment, at, session, build, outcome, generation, took_us)"
                   " SELECT deployment, at, 1, number, 'swapped', number, took_us + number FROM generation WHERE number = ?",
                   (n,))
        db.execute("INSERT INTO serving(deployment, generation, since, until, why) VALUES('simple', ?, ?, ?, 'swap.done')",
                   (n, at + 1000 * n, at + 1000 * n + 1000))
    db.execute("UPDATE generation SET verdict = 'FASTER', ratio = 1.01, low = 1.0, high = 1.02 WHERE number % 3 = 0")
    db.execute("UPDATE generation SET crashes = 1 WHERE number % 100 = 0")


def history(bench):
    with Server(bench, PLUGINS / "simple") as server:
        root = server.root
    path = root / ".devserve/history.db"
    db = sqlite3.connect(path)
    with db:
        fill(db)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    ours = [bench.build / "devserve", "history", "simple", "-n", "0", "--root", root]
    one = row("history", f"devserve history, {MANY} generations", compare(bench, 21, ours, ["cat", path]),
              "cat history.db", 50, 30)
    one.note = f"the file has {path.stat().st_size / 1e6:.1f} MB"
    yield one


def rollback(bench):
    """From the request to roll back, sent, to an answer of that generation, read."""
    source = (PLUGINS / "simple/simple.c").read_text()
    with Server(bench, PLUGINS / "simple") as server:
        for i in range(3):
            mark = server.mark()
            (server.root / "simple/simple.c").write_text(f"{source}\nextern const int number; const int number = {i};\n")
            server.wait("save.done", mark, outcome="swapped")
        token = json.loads((server.root / ".devserve/run.json").read_text())["token"]
        request = binary_request(server.port, "simple", simple_inputs())
        head, _, body = request.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        took = []
        for i in range(bench.rounds(40)):
            bench.say(f"rollback: round {i + 1}")
            control = http.client.HTTPConnection("127.0.0.1", server.port)
            client = http.client.HTTPConnection("127.0.0.1", server.port)
            control.connect(), client.connect()
            generation = 1 + i % 3
            began = time.perf_counter_ns()
            control.request("POST", f"/-/rollback?deployment=simple&generation={generation}",
                            headers={"Authorization": f"Bearer {token}"})
            answer = control.getresponse()
            said = answer.read()
            client.request("POST", "/v2/models/simple/infer", body, headers)
            served = client.getresponse()
            served.read()
            took.append(time.perf_counter_ns() - began)
            assert answer.status == 200, said
            assert served.getheader("X-Devserve-Generation") == str(generation), served.headers
            control.close(), client.close()
            time.sleep(0.4)  # the next spare is there
    yield Row("rollback", "rollback → first answer", ms(median(took)), "–", median(took) / MS, 10, 5, "ms",
              spread=tuple(q / MS for q in quartiles(took)), samples={"measured": took},
              note=f"at most {max(took) / MS:.1f} ms")


ROWS = {"history": history, "rollback": rollback}
