# SPDX-License-Identifier: MIT
"""Several replicas of one deployment, and how long one call may take."""

import os
import signal
import threading
import time

import pytest

from devserve import PATIENCE, X, constant, deployment, x

SLOW_ON_NEGATIVE = deployment("""\
	while (x < 0)
		usleep(1000);
	usleep((unsigned)x * 1000);
	*y = (int32_t)getpid();""", "#include <unistd.h>")


def in_parallel(server, n, name, request):
    answers = [None] * n

    def call(i):
        answers[i] = server.new_client().infer(name, request)

    threads = [threading.Thread(target=call, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return answers


def until(condition, server):
    """Until the status of the server says so; each look is an answer, no time is waited for."""
    for _ in range(20000):
        status = server.status()
        if condition(status):
            return status
    raise AssertionError(status)


def workers_of(status, name):
    return [w["pid"] for d in status["deployments"] if d["name"] == name for w in d["workers"]]


def test_as_many_workers_serve_as_the_settings_ask_for(root, serve):
    root.write("one/one.c", SLOW_ON_NEGATIVE)
    root.write("one/deployment.yaml", "num_replicas: 3\n")
    server = serve()
    until(lambda s: len(workers_of(s, "one")) == 3, server)
    assert not server.seen("worker.replaced")  # they came, and nobody went
    answers = in_parallel(server, 6, "one", x(100))
    assert {a.value for a in answers} == set(server.worker_pids("one")), answers

    server.save("one/deployment.yaml", "num_replicas: 1\n", "one")
    assert len(server.worker_pids("one")) == 1
    assert {a.value for a in in_parallel(server, 4, "one", x(1))} == set(server.worker_pids("one"))


def test_no_old_answer_comes_after_the_swap_of_all_replicas(root, serve):
    root.write("one/one.c", constant(0))
    root.write("one/deployment.yaml", "num_replicas: 3\n")
    server = serve()
    until(lambda s: len(workers_of(s, "one")) == 3, server)
    for i in range(1, 6):
        assert server.save("one/one.c", constant(i))["outcome"] == "swapped"
        answers = in_parallel(server, 9, "one", X)
        assert {(a.value, a.generation) for a in answers} == {(i, answers[0].generation)}, answers


def test_one_replica_dies_and_the_others_go_on(root, serve):
    root.write("one/one.c", SLOW_ON_NEGATIVE)
    root.write("one/deployment.yaml", "num_replicas: 2\n")
    server = serve()
    until(lambda s: len(workers_of(s, "one")) == 2, server)
    for _ in range(4):
        mark = server.mark()
        os.kill(server.worker_pids("one")[0], signal.SIGKILL)
        assert all(a.status == 200 for a in in_parallel(server, 4, "one", x(5)))
        server.wait("worker.replaced", mark, deployment="one")
        until(lambda s: len(workers_of(s, "one")) == 2, server)


def test_max_ongoing_requests_bounds_what_one_replica_has_at_once(root, serve):
    root.write("one/one.c", SLOW_ON_NEGATIVE)
    root.write("one/deployment.yaml", "max_ongoing_requests: 1\n")
    server = serve()
    most = 0
    threads = threading.Thread(target=in_parallel, args=(server, 8, "one", x(20)))
    threads.start()
    while threads.is_alive():
        most = max(most, next(d["in_flight"] for d in server.status()["deployments"]))
    assert most == 1


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_call_that_takes_too_long_gets_504_and_costs_its_worker(root, serve, replicas):
    root.write("one/one.c", SLOW_ON_NEGATIVE)
    root.write("one/deployment.yaml", f"num_replicas: {replicas}\nrequest_timeout_s: 0.5\n")
    server = serve()
    for _ in range(2):
        mark = server.mark()
        answer = server.infer("one", x(-1))
        assert answer.status == 504 and "request_timeout_s" in answer.json["error"], answer
        died = server.wait("worker.died", mark, deployment="one")
        assert "request_timeout_s" in died["reason"], died
        assert server.infer("one", x(1)).status == 200


def test_a_worker_that_stopped_itself_is_noticed_like_one_that_hangs(root, serve):
    root.write("one/one.c", constant("raise(SIGSTOP)", "#include <signal.h>"))
    root.write("one/deployment.yaml", "request_timeout_s: 0.5\n")
    server = serve()
    assert server.infer("one").status == 504
    server.wait("worker.replaced", deployment="one")


def test_what_waits_behind_a_hanging_call_is_answered_by_the_next_worker(root, serve):
    root.write("one/one.c", SLOW_ON_NEGATIVE)
    root.write("one/deployment.yaml", "request_timeout_s: 1\n")
    server = serve()
    server.infer("one", x(0))
    hang = threading.Thread(target=server.new_client().infer, args=("one", x(-1)))
    hang.start()
    until(lambda s: s["deployments"][0]["in_flight"], server)
    answers = in_parallel(server, 3, "one", x(0))
    hang.join()
    # those that arrived less than the limit before the worker ended have time left
    assert {a.status for a in answers} <= {200, 504} and server.infer("one", x(0)).status == 200


def test_a_generation_that_crashes_gives_way_to_the_one_before(root, serve):
    root.write("one/one.c", constant(1))
    server = serve()
    done = server.save("one/one.c", constant(2, "#include <stdlib.h>\n").replace("return 0", "abort()"))
    assert done["outcome"] == "swapped" and done["generation"] == 2
    mark = server.mark()
    answer = server.infer("one")
    assert (answer.value, answer.generation) == (1, 1), answer
    fell = server.wait("deployment.fell-back", mark, deployment="one")
    assert (fell["from"], fell["generation"]) == (2, 1)
    answer = server.infer("one")
    assert (answer.value, answer.generation, answer.stale) == (1, 1, "crashed")
    assert server.status()["deployments"][0]["generation"] == 1
    assert server.save("one/one.c", constant(3))["generation"] == 3
    assert server.infer("one").stale is None


def test_a_request_that_crashes_every_generation_is_to_blame_itself(root, serve):
    crash = SLOW_ON_NEGATIVE.replace("usleep(1000);", "*(volatile int *)0 = x;", 1)
    root.write("one/one.c", crash)
    server = serve()
    server.save("one/one.c", crash + "/* another */ int another;\n")
    mark = server.mark()
    answer = server.infer("one", x(-1))
    assert answer.status == 500 and "it is this request" in answer.json["error"], answer
    answer = server.infer("one", x(0))
    assert (answer.status, answer.generation) == (200, 2)
    assert not server.seen("deployment.fell-back", mark)


def test_a_worker_that_leaks_is_replaced_between_two_calls(root, serve):
    root.write("one/one.c", deployment("""\
	static char *volatile lost;

	if (x) {
		lost = malloc(200 << 20);
		memset(lost, 1, 200 << 20);
	}
	*y = 1;""", "#include <stdlib.h>\n#include <string.h>\n"))
    server = serve("--max-worker-memory", "150M")
    pid, = server.worker_pids("one")
    mark, until_ns = server.mark(), time.monotonic() + PATIENCE
    assert server.infer("one", x(1)).value == 1
    while not server.seen("worker.replaced", mark, deployment="one"):
        assert server.infer("one", x(0)).value == 1 and time.monotonic() < until_ns
    assert any("--max-worker-memory" in n["reason"] for n in server.seen("notice", mark, deployment="one"))
    assert server.worker_pids("one") != [pid] and not server.seen("worker.died", mark)


def test_a_save_that_came_meanwhile_is_not_blamed_for_what_the_one_before_did(root, serve, gate):
    slow = constant(1, f"""
{gate.source}
static int create(const struct devserve_host *host, void **self)
{{
	devserve_log(host, DEVSERVE_INFO, "creating");
	pass_gate();
	return 0;
}}
""").replace(".infer = infer", ".create = create, .infer = infer")
    root.write("one/one.c", slow)
    server = serve()
    server.save("one/one.c", constant(2, "#include <stdlib.h>\n").replace("return 0", "abort()"))
    gate.shut()
    mark, answers = server.mark(), []
    caller = threading.Thread(target=lambda: answers.append(server.new_client().infer("one")))
    caller.start()
    server.wait("log", mark, text="creating")  # the call is about to be run once more
    assert server.save("one/one.c", constant(3))["generation"] == 3
    gate.open()
    caller.join()
    assert answers[0].value in (1, 3), answers
    answer = server.infer("one")
    assert (answer.value, answer.generation, answer.stale) == (3, 3, None), answer
    assert not server.seen("deployment.fell-back", mark)


def test_poisonous_requests_in_a_row_blame_no_generation(root, serve):
    crash = deployment("\tif (x < 0)\n\t\t__builtin_trap();\n\t*y = 7;")
    root.write("one/one.c", crash)
    server = serve()
    server.save("one/one.c", crash + "int another;\n")
    mark = server.mark()
    for _ in range(5):
        assert server.infer("one", x(-1)).status == 500
    answer = server.infer("one", x(0))
    assert (answer.value, answer.generation) == (7, 2), answer
    assert not server.seen("deployment.fell-back", mark)


def test_deaths_that_no_call_explains_make_the_generation_before_serve(root, serve):
    root.write("one/one.c", constant(1))
    server = serve()
    server.save("one/one.c", constant(2))
    mark = server.mark()
    for _ in range(3):
        gone = server.mark()
        os.kill(server.worker_pids("one")[0], signal.SIGSEGV)
        server.wait("worker.died", gone)
        until(lambda s: workers_of(s, "one"), server)
    assert server.wait("deployment.fell-back", mark)["generation"] == 1
    assert server.infer("one").generation == 1


def test_a_call_whose_worker_is_killed_from_outside_is_run_once_more(root, serve, gate):
    root.write("one/one.c", deployment("""\
	devserve_log(call->host, DEVSERVE_INFO, "running");
	pass_gate();
	*y = x;""", gate.source))
    server = serve()
    gate.shut()
    mark, answers = server.mark(), []
    caller = threading.Thread(target=lambda: answers.append(server.new_client().infer("one", x(5))))
    caller.start()
    server.wait("log", mark, text="running")
    os.kill(server.worker_pids("one")[0], signal.SIGKILL)
    gate.open()
    caller.join()
    assert answers[0].value == 5, answers


def test_a_shorter_time_limit_holds_from_its_save_on(root, serve):
    root.write("one/one.c", SLOW_ON_NEGATIVE)
    root.write("one/deployment.yaml", "request_timeout_s: 20\n")
    server = serve()
    assert server.infer("one", x(0)).status == 200  # the timer runs, for 20 s
    server.save("one/deployment.yaml", "request_timeout_s: 0.5\n", "one")
    began = time.monotonic()
    assert server.infer("one", x(-1)).status == 504
    assert time.monotonic() - began < 10


def test_a_worker_that_can_load_nothing_any_more_is_replaced_by_one_that_can(root, serve):
    root.write("one/one.c", deployment("""\
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_NOFILE, &none);
	*y = 1;""", "#include <sys/resource.h>\n"))
    server = serve()
    assert server.infer("one").value == 1
    pid, = server.worker_pids("one")
    done = server.save("one/one.c", constant(2))
    assert done["outcome"] == "swapped", done
    assert server.infer("one").value == 2 and server.worker_pids("one") != [pid]
