# SPDX-License-Identifier: MIT
"""The server's own routes, below /-/."""

import json
import stat
import urllib.request

import pytest

from devserve import Client, constant


@pytest.fixture
def server(root, serve):
    root.write("one/one.c", constant(10))
    return serve()


def test_the_token_is_the_owners_alone_and_is_asked_for(server):
    path = server.root.path / ".devserve" / "run.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for route in ("/-/status", "/-/events", "/-/wait?deployment=one"):
        answer = server.client.call("GET", route)
        assert answer.status == 401 and answer.json["error"], (route, answer)
    wrong = Client(server.url, "0" * 64).call("GET", "/-/status")
    assert wrong.status == 401


def test_status_tells_who_serves_what(server):
    server.infer("one")
    status = server.status()
    [one] = status["deployments"]
    assert status["url"] == server.url and status["ready"] is True
    assert (one["name"], one["state"], one["generation"], one["stale"]) == ("one", "ready", 1, None)
    assert (one["requests"], one["failures"], len(one["workers"])) == (1, 0, 1)
    assert one["workers"][0]["rss_bytes"] > 0


def test_events_are_the_same_over_http(server):
    request = urllib.request.Request(server.url + "/-/events", headers={
        "Authorization": "Bearer " + server.run_json()["token"]})
    with urllib.request.urlopen(request, timeout=30) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        mark = server.mark()
        server.save("one/one.c", constant(11))
        names, bodies = [], []
        while not bodies or bodies[-1]["event"] != "save.done":
            line = stream.readline().decode().rstrip("\n")
            if line.startswith("event: "):
                names.append(line[7:])
            elif line.startswith("data: "):
                bodies.append(json.loads(line[6:]))
    told = [e for e in server.events[mark:] if e["event"] in names]
    assert bodies == told
    assert [b["event"] for b in bodies] == names == ["build.started", "swap.done", "save.done"]


def test_wait_asks_what_lies_on_disk(server):
    client = Client(server.url, server.run_json()["token"])
    server.root.write("one/one.c", constant(12))
    answer = client.call("GET", "/-/wait?deployment=one")
    assert answer.json["outcome"] == "swapped" and server.infer("one").value == 12
    server.root.write("new.c", constant(5))
    answer = client.call("GET", "/-/wait?deployment=new")
    assert (answer.status, answer.json["generation"]) == (200, 1)
    assert client.call("GET", "/-/wait?deployment=absent").status == 404
    assert client.call("GET", "/-/wait").status == 400


def test_a_waiter_that_leaves_is_forgotten(server):
    client = Client(server.url, server.run_json()["token"])
    mark = server.mark()
    server.root.write("one/one.c", constant(13))
    client.connection.request("GET", "/-/wait?deployment=one", None,
                              {"Authorization": "Bearer " + client.token})
    client.close()
    server.wait("save.done", mark, deployment="one")
    assert server.infer("one").value == 13


def test_two_plugins_of_one_name(server):
    mark = server.mark()
    server.root.write("one.cc", constant(99))
    notice = server.wait("notice", mark, deployment="one")
    assert "one.cc" in notice["reason"] and "one" in notice["reason"]
    assert server.infer("one").value == 10
    (server.root.path / "one" / "one.c").unlink()
    server.wait("save.done", mark, deployment="one", outcome="swapped")
    assert server.infer("one").value == 99


def test_waiting_at_once_after_a_save_leads_to_one_generation_of_it(root, serve):
    root.write("one/one.c", constant(0))
    server = serve()
    token = server.run_json()["token"]
    for i in range(1, 4):
        mark = server.mark()
        root.rename_over("one/one.c", constant(i))
        answer = server.new_client().call("GET", "/-/wait?deployment=one", headers={"Authorization": f"Bearer {token}"})
        assert answer.json["generation"] == i + 1, answer
        (root.path / f"another{i}").mkdir()
        root.write(f"another{i}/a.c", constant(1))
        server.wait("save.done", mark, deployment=f"another{i}")
        answer = server.new_client().call("GET", "/-/wait?deployment=one", headers={"Authorization": f"Bearer {token}"})
        assert answer.json["generation"] == i + 1, answer
        assert len(server.seen("build.started", mark, deployment="one")) == 1


def test_the_front_page_lists_what_there_is_and_why_not(root, serve):
    root.write("good/a.c", constant(1))
    root.write("bad/a.c", "#error <b>&amp;\n")
    server = serve()
    # what a browser sends that was given the address
    answer = server.client.call("GET", "/", headers={"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate",
                                                      "Sec-Fetch-Dest": "document", "Accept": "text/html"})
    page = answer.body.decode()
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert '<a href="/v2/models/good">good</a></td><td>serves generation 1</td>' in page
    assert ">bad</a></td><td>is unavailable</td><td>a.c:1:2: #error &lt;b>&amp;amp;" in page
    assert "script" not in page and "style" not in page
