# SPDX-License-Identifier: MIT
"""A second generation that answers a share of the requests."""

import json
import os
import signal
import threading

import pytest

from devserve import Client, constant, deployment, devserve, wait_until_gone, x


def ask(server, command, *words, ok=True):
    """Run `devserve canary` or `shadow` against the server."""
    said = devserve(command, *words, "--root", server.root.path)
    assert (said.returncode == 0) == ok, said
    return said.stdout if ok else said.stderr


def companion(server, name="one"):
    """What /-/status says of the deployment's companion, or None."""
    return next(d for d in server.status()["deployments"] if d["name"] == name).get("companion")


@pytest.fixture
def two(root, serve):
    """`one` in its second generation: 1 answered 1, 2 answers 2."""
    root.write("one/one.c", constant(1))
    server = serve()
    assert server.save("one/one.c", constant(2))["outcome"] == "swapped"
    return server


def generations(server, n):
    answers = [server.infer("one") for _ in range(n)]
    assert all(a.status == 200 and a.value == a.generation for a in answers), answers
    return [a.generation for a in answers]


def test_it_answers_its_share_and_each_answer_names_its_generation(two):
    said = ask(two, "canary", "one", "1", "10%")
    assert "canary, 10 % of the requests" in said, said
    first = generations(two, 200)
    assert 18 <= first.count(1) <= 22, first
    assert all(first[i:i + 30].count(1) for i in range(0, 170)), "it gets its share of any few requests, too"

    facts = companion(two)
    assert facts["beside"]["requests"] == first.count(1) and facts["serving"]["requests"] == first.count(2), facts
    assert facts["beside"]["compute_ns_median"] > 0 and len(facts["pids"]) == 1, facts

    ask(two, "canary", "one", "1", "10%")
    assert generations(two, 200) == first, "the same requests are parted in the same way"


@pytest.mark.parametrize("share,least,most", [("1%", 1, 4), ("50%", 98, 102), ("100%", 200, 200)])
def test_shares_are_kept(two, share, least, most):
    ask(two, "canary", "one", "1", share)
    assert least <= generations(two, 200).count(1) <= most


def test_it_ends_when_it_is_told_to(two):
    ask(two, "canary", "one", "1", "50%")
    started = two.wait("canary.started", deployment="one")
    assert (started["generation"], started["share"], started["serving"]["generation"]) == (1, 0.5, 2), started
    pid = companion(two)["pids"][0]
    assert "generation 1" in ask(two, "canary", "one") and "canary" in devserve(
        "status", "--root", two.root.path).stdout
    ask(two, "canary", "one", "off")
    assert two.wait("canary.ended", deployment="one")["generation"] == 1
    assert companion(two) is None and set(generations(two, 20)) == {2}
    wait_until_gone(pid)
    assert "has no canary" in ask(two, "canary", "one", "off", ok=False)
    assert "has no canary" in ask(two, "canary", "one", ok=False)


@pytest.mark.parametrize("kind, share", [("canary", ["50%"]), ("shadow", [])])
def test_programs_are_told_of_it_in_json(two, kind, share):
    started = json.loads(ask(two, kind, "one", "1", *share, "--json"))
    assert (started["deployment"], started["kind"], started["beside"]["generation"]) == ("one", kind, 1), started
    if kind == "canary":
        generations(two, 10)
    shown = json.loads(ask(two, kind, "one", "--json"))
    assert shown.keys() >= started.keys() and shown["kind"] == kind, shown
    ended = json.loads(ask(two, kind, "one", "off", "--json"))
    assert ended["ended"] is True and ended["kind"] == kind, ended
    assert ended["beside"]["requests"] == shown["beside"]["requests"] and companion(two) is None, ended


def test_a_share_that_may_be_meant_as_a_part_of_one_is_asked_about(two):
    said = devserve("canary", "one", "1", "0.25", "--root", two.root.path)
    assert said.returncode == 2 and "say 0.25% or 25%" in said.stderr, said
    assert "canary, 0.25 % of" in ask(two, "canary", "one", "1", "0.25%")
    assert "canary, 25 % of" in ask(two, "canary", "one", "1", "25")


def test_who_starts_a_shadow_is_told_that_it_ends_a_canary(two):
    assert "ended" not in ask(two, "canary", "one", "1", "50%")
    said = ask(two, "shadow", "one", "1")
    assert said.splitlines()[1:] == ["one  canary ended"], said
    assert "ended" not in ask(two, "shadow", "one", "1")


def test_it_ends_when_a_newer_save_serves(two):
    ask(two, "canary", "one", "1", "50%")
    generations(two, 4)
    assert two.save("one/one.c", constant(3))["outcome"] == "swapped"
    assert "another generation" in two.wait("canary.ended", deployment="one")["reason"]
    assert set(generations(two, 20)) == {3}
    ask(two, "canary", "one", "2", "50%")
    assert set(generations(two, 20)) == {2, 3}


def test_no_answer_of_it_follows_the_swap_that_ended_it(root, serve, gate):
    wait = gate.source
    root.write("one/one.c", deployment("\tif (x) pass_gate();\n\t*y = 1;", wait))
    server = serve()
    server.save("one/one.c", constant(2))
    ask(server, "canary", "one", "1", "100%")
    gate.shut()
    answers = []
    held = threading.Thread(target=lambda: answers.append(server.new_client().infer("one", x(1))))
    held.start()
    while not companion(server)["in_flight"]:
        pass
    mark = server.mark()
    server.root.rename_over("one/one.c", constant(3))
    server.wait("canary.ended", mark)
    assert server.infer("one").value == 3
    assert not server.seen("swap.done", mark)
    gate.open()
    held.join()
    server.wait("swap.done", mark)
    assert (answers[0].value, answers[0].generation) == (1, 1), answers


def test_what_it_has_begun_is_answered_when_the_deployment_is_removed(root, serve, gate):
    root.write("one/one.c", deployment("\tif (x) pass_gate();\n\t*y = 1;", gate.source))
    server = serve()
    server.save("one/one.c", constant(2))
    ask(server, "canary", "one", "1", "100%")
    gate.shut()
    answers = []
    held = threading.Thread(target=lambda: answers.append(server.new_client().infer("one", x(1))))
    held.start()
    while not companion(server)["in_flight"]:
        pass
    pid = companion(server)["pids"][0]
    (root.path / "one" / "one.c").unlink()
    server.wait("deployment.removed")
    assert server.infer("one").status == 404
    gate.open()
    held.join()
    assert (answers[0].status, answers[0].value, answers[0].generation) == (200, 1, 1), answers
    wait_until_gone(pid)


def test_a_call_that_hangs_in_one_of_a_removed_deployment_is_answered_in_its_time(root, serve, gate):
    root.write("one/one.c", deployment("\tif (x == 7) pass_gate();\n\t*y = 1;", gate.source))
    root.write("one/deployment.yaml", "request_timeout_s: 2\n")
    server = serve()
    server.save("one/one.c", constant(2))
    ask(server, "canary", "one", "1", "100%")
    gate.shut()
    answers = []
    held = threading.Thread(target=lambda: answers.append(server.new_client().infer("one", x(7))))
    held.start()
    while not companion(server)["in_flight"]:
        pass
    (root.path / "one" / "one.c").unlink()
    server.wait("deployment.removed")
    held.join()
    assert [a.status for a in answers] == [504], answers


def test_what_crashes_it_is_answered_by_the_one_that_serves(root, serve):
    root.write("one/one.c", deployment("\tif (x == 7) abort();\n\t*y = 1;", "#include <stdlib.h>"))
    server = serve()
    server.save("one/one.c", constant(2))
    ask(server, "canary", "one", "1", "100%")
    assert server.infer("one", x(0)).generation == 1
    mark = server.mark()
    answer = server.infer("one", x(7))
    assert (answer.status, answer.value, answer.generation, answer.stale) == (200, 2, 2, None), answer
    assert "signal 6" in server.wait("canary.ended", mark)["reason"]
    assert server.wait("crash.report", mark)["generation"] == 1
    assert server.infer("one", x(7)).generation == 2 and companion(server) is None
    assert server.status()["deployments"][0]["generation"] == 2 and not server.seen("deployment.fell-back")


def crashing_at(value, answer, gate=None):
    """One that answers `answer`, dies of `value`, and waits at the gate when it is asked 20 or more."""
    wait = "\tif (x >= 20) pass_gate();\n" if gate else ""
    return deployment(f"{wait}\tif (x % 10 == {value}) abort();\n\t*y = {answer};",
                      "#include <stdlib.h>\n" + (gate.source if gate else ""))


def in_the_background(server, value, answers):
    thread = threading.Thread(target=lambda: answers.append(server.new_client().infer("one", x(value))))
    thread.start()
    return thread


def test_what_serves_is_blamed_for_its_crash_though_the_canary_crashes_meanwhile(root, serve, gate):
    root.write("one/one.c", crashing_at(7, 1))
    server = serve()
    server.save("one/one.c", crashing_at(5, 2, gate))
    server.save("one/one.c", crashing_at(8, 3))
    ask(server, "canary", "one", "1", "50%")
    gate.shut()
    of_serving, of_canary, mark = [], [], server.mark()
    first = in_the_background(server, 28, of_serving)  # kills 3, and is tried on 2, where it waits
    server.wait("worker.died", mark, generation=3)
    while not gate.visitors(server):
        pass
    second = in_the_background(server, 7, of_canary)
    server.wait("canary.ended", mark)
    gate.open()
    first.join()
    second.join()
    assert (of_serving[0].status, of_serving[0].value) == (200, 2), of_serving
    fell = server.wait("deployment.fell-back", mark)
    assert (fell["from"], fell["generation"]) == (3, 2), fell
    assert (of_canary[0].status, of_canary[0].value, of_canary[0].generation) == (200, 2, 2), of_canary


def test_a_crash_of_what_serves_is_tried_on_the_one_before_though_a_canary_s_is_under_way(root, serve, gate):
    root.write("one/one.c", crashing_at(7, 1))
    server = serve()
    server.save("one/one.c", crashing_at(5, 2))
    server.save("one/one.c", crashing_at(8, 3, gate))
    ask(server, "canary", "one", "1", "50%")
    assert server.infer("one").value == 3
    gate.shut()
    of_serving, of_canary, mark = [], [], server.mark()
    first = in_the_background(server, 27, of_canary)  # kills 1, and is tried on 3, where it waits
    server.wait("canary.ended", mark)
    while not gate.visitors(server):
        pass
    second = in_the_background(server, 8, of_serving)
    server.wait("worker.died", mark, generation=3)
    gate.open()
    first.join()
    second.join()
    assert (of_canary[0].status, of_canary[0].value, of_canary[0].generation) == (200, 3, 3), of_canary
    assert (of_serving[0].status, of_serving[0].value, of_serving[0].generation) == (200, 2, 2), of_serving
    assert server.wait("deployment.fell-back", mark)["generation"] == 2


def test_a_call_that_hangs_in_it_ends_it_and_nothing_else(root, serve):
    root.write("one/one.c", deployment("\tfor (volatile int i = 0; x == 7; i++) ;\n\t*y = 1;"))
    root.write("one/deployment.yaml", "request_timeout_s: 0.5\n")
    server = serve()
    server.save("one/one.c", constant(2))
    ask(server, "canary", "one", "1", "100%")
    pids = server.worker_pids("one")
    assert server.infer("one", x(7)).status == 504
    assert "request_timeout_s" in server.wait("canary.ended")["reason"]
    assert server.infer("one", x(7)).value == 2 and server.worker_pids("one") == pids


def test_killed_from_outside_it_comes_again(two):
    ask(two, "canary", "one", "1", "100%")
    generations(two, 5)
    mark, pid = two.mark(), companion(two)["pids"][0]
    os.kill(pid, signal.SIGKILL)
    two.wait("worker.died", mark, pid=pid)
    assert set(generations(two, 5)) <= {1, 2}
    while not companion(two)["pids"]:
        pass
    assert set(generations(two, 5)) == {1} and not two.seen("canary.ended")


def test_it_is_refused_where_the_two_do_not_fit(two):
    assert "generation 2 is the one that serves" in ask(two, "canary", "one", "2", "10%", ok=False)
    assert "no generation 9" in ask(two, "canary", "one", "9", "10%", ok=False)
    assert "no deployment 'other'" in ask(two, "canary", "other", "1", "10%", ok=False)
    for words in (["1"], ["x", "10%"], ["1", "0%"], ["1", "101%"], ["1", "much"]):
        said = devserve("canary", "one", *words, "--root", two.root.path)
        assert said.returncode == 2, said
    two.save("one/one.c", constant(3).replace('"Y"', '"Z"'))
    assert "other inputs or outputs" in ask(two, "canary", "one", "2", "10%", ok=False)
    assert companion(two) is None


def test_any_generation_that_is_kept_may_be_one(two):
    for i in range(3, 7):
        two.save("one/one.c", constant(i))
    for generation in (1, 3):
        ask(two, "canary", "one", str(generation), "50%")
        assert set(generations(two, 20)) == {6, generation}
    assert two.wait("canary.ended", reason="another one took its place")
    assert devserve("rollback", "one", "4", "--root", two.root.path).returncode == 0
    assert companion(two) is None
    ask(two, "canary", "one", "6", "50%")  # a newer one than serves
    assert set(generations(two, 20)) == {4, 6}


def test_a_deployment_with_state_has_none(root, serve):
    root.copy("counter")
    server = serve()
    server.save("counter/counter.c", root.read("counter/counter.c") + "\n/* another */\n", "counter")
    assert "keeps state" in ask(server, "canary", "counter", "1", "10%", ok=False)


def test_beside_several_replicas_and_under_load_no_request_is_lost(root, serve):
    root.write("one/one.c", constant(1))
    root.write("one/deployment.yaml", "num_replicas: 2\n")
    server = serve()
    server.save("one/one.c", constant(2))
    stop, wrong, seen = threading.Event(), [], set()

    def load():
        client = server.new_client()
        while not stop.is_set():
            answer = client.infer("one")
            seen.add(answer.generation)
            if answer.status != 200 or answer.value != answer.generation:
                wrong.append(answer)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    for i in range(3, 9):
        ask(server, "canary", "one", str(i - 2), "30%")
        if i % 2:
            ask(server, "canary", "one", "off")
        assert server.save("one/one.c", constant(i))["outcome"] == "swapped"
    stop.set()
    for t in threads:
        t.join()
    assert not wrong, wrong[:3]
    assert seen >= {1, 2}, seen


def test_it_has_its_share_of_the_replicas_too(root, serve):
    root.write("one/one.c", deployment("\tusleep(1000);\n\t*y = (int32_t)getpid();", "#include <unistd.h>"))
    root.write("one/deployment.yaml", "num_replicas: 4\n")
    server = serve()
    server.save("one/one.c", constant(2))
    ask(server, "canary", "one", "1", "50%")
    while len(pids := companion(server)["pids"]) < 2:
        pass
    stop, seen = threading.Event(), set()

    def load():
        client = server.new_client()
        while not stop.is_set():
            answer = client.infer("one")
            if answer.generation == 1:
                seen.add(answer.value)

    threads = [threading.Thread(target=load) for _ in range(6)]
    for t in threads:
        t.start()
    while seen < set(pids):
        pass
    os.kill(pids[0], signal.SIGKILL)
    while pids[0] in companion(server)["pids"] or len(companion(server)["pids"]) < 2:
        pass
    stop.set()
    for t in threads:
        t.join()
    assert not server.seen("canary.ended")
    ask(server, "canary", "one", "off")
    for pid in pids:
        wait_until_gone(pid)


def test_one_that_is_slow_gets_less_than_its_share(root, serve):
    root.write("one/one.c", deployment("\tusleep(20000);\n\t*y = 1;", "#include <unistd.h>"))
    server = serve()
    server.save("one/one.c", constant(2))
    ask(server, "canary", "one", "1", "50%")
    clients = [server.new_client() for _ in range(40)]
    threads = [threading.Thread(target=c.infer, args=("one",)) for c in clients for _ in range(1)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    facts = companion(server)
    assert facts["beside"]["requests"] + facts["serving"]["requests"] == 40, facts
    assert facts["beside"]["requests"] + facts["diverted"] == 20, facts


def test_the_routes_want_numbers_that_they_can_use(two):
    client = Client(two.url, two.run_json()["token"])
    for query in ("", "?deployment=one", "?deployment=one&generation=one", "?deployment=one&generation=1&share=2",
                  "?deployment=one&generation=1&share=nan", "?deployment=one&generation=-1"):
        answer = client.call("POST", f"/-/canary{query}", b"")
        assert answer.status == 400 and answer.json["error"], (query, answer)
    assert two.client.call("POST", "/-/canary?deployment=one&generation=1", b"").status == 401
