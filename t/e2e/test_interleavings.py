# SPDX-License-Identifier: MIT
"""Things that happen at a bad moment: removals, deaths, hangs and saves inside one another."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import urllib.parse

from devserve import BUILD, Client, Gate, constant, deployment, devserve, wait_until_gone, x

SLOW = deployment("\twait_ms(MS);\n\t*y = 7;", """#include <time.h>
static int wait_ms(int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	return nanosleep(&t, NULL);
}
#define MS 300
""")

SCRIBBLER = deployment("\tif (x == 1)\n\t\tscribble();\n\t*y = 7;", """
#include <sys/mman.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
/* Find the link (it begins with its magic) among our mappings and spoil it. */
static void scribble(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned long at, end;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx rw-s", &at, &end) == 2 && !memcmp((void *)at, "LINK", 4))
			memset((char *)at + 64, 0x5a, end - at - 64);
	if (f)
		fclose(f);
}
""")


def in_background(call, *args):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(call(*args)))
    thread.start()
    return thread, answers


def wait_in_flight(server, name, n):
    """A call is with the worker: the status says so. (No event tells of single requests.)"""
    while next(d for d in server.status()["deployments"] if d["name"] == name)["in_flight"] < n:
        pass


def test_a_worker_that_scribbles_over_the_shared_memory_costs_only_itself(root, serve):
    root.write("bad.c", SCRIBBLER)
    root.write("good.c", constant(1))
    server = serve()
    mark = server.mark()
    assert server.infer("bad", x(0)).value == 7
    server.new_client().infer("bad", x(1))
    server.wait("worker.replaced", mark, deployment="bad")
    assert server.infer("good").value == 1
    assert server.infer("bad", x(0)).value == 7


# Its first load of a generation notes its process; the next tells of itself and waits (FIFOs).
NOTES_AND_WAITS = """#include <stdio.h>
#include <unistd.h>

__attribute__((constructor)) static void note(void)
{
	FILE *f = fopen("DIR/first", "wx");

	if (f) {
		fprintf(f, "%d", (int)getpid());
		fclose(f);
		return;
	}
	fclose(fopen("DIR/second", "w"));
	fclose(fopen("DIR/go", "r"));
}
"""


def test_the_worker_of_a_trial_is_killed_while_the_serving_one_loads(root, serve, tmp_path):
    root.write("one/one.c", constant(1))
    server = serve()
    for value in (2, 3):
        notes = tmp_path / f"notes-{value}"
        notes.mkdir()
        os.mkfifo(notes / "second")
        os.mkfifo(notes / "go")
        mark = server.mark()
        root.write("one/one.c", constant(value, NOTES_AND_WAITS.replace("DIR", str(notes))))
        (notes / "second").read_text()
        trial = int((notes / "first").read_text())
        assert trial not in server.worker_pids("one")
        os.kill(trial, signal.SIGKILL)
        wait_until_gone(trial)
        server.status()
        (notes / "go").write_text("")
        assert server.wait("save.done", mark, deployment="one")["outcome"] == "swapped"
        assert server.infer("one").value == value


def test_what_was_killed_in_its_trial_again_and_again_is_tried_once_more_when_it_is_saved_as_it_is(root, serve, tmp_path):
    gate = Gate(tmp_path / "gate").shut()
    root.write("one/one.c", constant(1))
    server = serve()
    text = constant(2, gate.source + "__attribute__((constructor)) static void wait(void) { pass_gate(); }\n")
    mark = server.mark()
    root.write("one/one.c", text)
    while not server.seen("save.done", mark):
        for pid in gate.visitors(server):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    failed = server.wait("save.done", mark)
    assert failed["outcome"] == "trial-failed" and "killed" in failed["reason"]
    gate.open()
    assert server.save("one/one.c", text)["outcome"] == "swapped"
    assert server.infer("one").value == 2


def test_a_plugin_that_goes_while_its_save_rolls_out(root, serve):
    root.write("slow/slow.c", SLOW.replace("MS 300", "MS 1500"))
    root.write("good.c", constant(1))
    server = serve()
    thread, answers = in_background(server.new_client().infer, "slow")
    wait_in_flight(server, "slow", 1)
    mark = server.mark()
    root.write("slow/slow.c", SLOW.replace("= 7", "= 8"))
    server.wait("build.started", mark, deployment="slow")
    shutil.rmtree(root.path / "slow")
    server.wait("deployment.removed", mark, deployment="slow")
    thread.join()
    assert answers[0].status == 200 and answers[0].value == 7
    assert server.infer("slow").status == 404
    assert server.infer("good").value == 1


def test_a_removed_deployment_whose_worker_dies_answers_everybody(root, serve):
    root.write("slow/slow.c", SLOW.replace("MS 300", "MS 60000"))
    server = serve()
    [pid] = server.worker_pids("slow")
    waiting = [in_background(server.new_client().infer, "slow") for _ in range(5)]
    wait_in_flight(server, "slow", 2)
    mark = server.mark()
    shutil.rmtree(root.path / "slow")
    server.wait("deployment.removed", mark, deployment="slow")
    subprocess.run(["kill", "-9", str(pid)], check=True)
    for thread, _ in waiting:
        thread.join()
    assert {answers[0].status for _, answers in waiting} <= {500, 503}


def test_the_newest_saves_failure_is_not_forgotten(root, serve):
    root.write("one/one.c", SLOW)
    server = serve()
    thread, _ = in_background(server.new_client().infer, "one")
    wait_in_flight(server, "one", 1)
    mark = server.mark()
    root.write("one/one.c", constant(1))  # its swap waits for the call
    server.wait("build.started", mark, deployment="one")
    later = server.mark()
    root.write("one/one.c", "this is no C\n")
    server.wait("build.failed", later, deployment="one")
    thread.join()
    while [d for d in server.status()["deployments"] if d["last_outcome"] == "swapped"] or \
            server.infer("one").stale == "building":
        pass
    assert server.infer("one").stale == "build-failed"
    assert devserve("wait", "one", cwd=root.path.parent).returncode == 4


def test_a_first_create_that_hangs_gives_way_to_the_next_save(root, serve):
    hang = constant(1, "static int create(const struct devserve_host *h, void **s)"
                       "{ (void)h, (void)s; for (volatile int i = 0;; i++) ; return 0; }")
    root.write("one/one.c", hang.replace("\t.infer", "\t.create = create,\n\t.infer"))
    server = serve(ready=False)
    server.wait("build.started", deployment="one")
    mark = server.mark()
    root.write("one/one.c", constant(2))
    server.wait("swap.done", mark, deployment="one")
    assert server.infer("one").value == 2


def test_a_swap_comes_between_two_calls_however_many_wait(root, serve):
    root.write("slow/slow.c", SLOW.replace("MS 300", "MS 100"))
    server = serve()
    stop = threading.Event()

    def load():
        client = server.new_client()
        while not stop.is_set():
            assert client.infer("slow").status == 200

    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    wait_in_flight(server, "slow", 2)
    done = server.save("slow/slow.c", constant(8))
    stop.set()
    for t in threads:
        t.join()
    assert done["outcome"] == "swapped"
    swap = next(s["ms"] for s in done["stages"] if s["name"] == "swap")
    assert swap < 1500  # a few calls, not the sixty-four that a ring may hold


def test_a_call_whose_client_has_gone_does_not_hold_up_the_end(root, serve):
    root.write("slow/slow.c", SLOW.replace("MS 300", "MS 600000"))
    server = serve()
    client = server.new_client()
    client.connection.request("POST", "/v2/models/slow/infer", json.dumps(x(0)))
    wait_in_flight(server, "slow", 1)
    client.connection.close()
    assert server.stop(timeout=20) == 0  # what is under way for somebody gets 30 s


def test_a_crash_costs_the_call_that_crashed(root, serve):
    root.write("frail.c", deployment("\tif (x == 5)\n\t\t__builtin_trap();\n\t*y = x;"))
    server = serve()
    parts = urllib.parse.urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as s:
        for i in range(10):
            body = json.dumps(x(i)).encode()
            s.sendall(b"POST /v2/models/frail/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%s\r\n%s"
                      % (len(body), b"Connection: close\r\n" if i == 9 else b"", body))
        answer = b""
        while chunk := s.recv(65536):
            answer += chunk
    assert (answer.count(b"HTTP/1.1 200"), answer.count(b"HTTP/1.1 500")) == (9, 1), answer


def test_a_full_queue_says_come_back(root, serve):
    root.write("slow/slow.c", SLOW)
    server = serve("--queue", "2")
    waiting = [in_background(server.new_client().infer, "slow") for _ in range(8)]
    for thread, _ in waiting:
        thread.join()
    answers = [answers[0] for _, answers in waiting]
    refused = [a for a in answers if a.status == 503]
    assert {a.status for a in answers} == {200, 503}
    assert all(a.headers["Retry-After"] and a.json["error"] == "Exceeds maximum queue size" for a in refused)


def test_an_end_tells_those_who_wait(root, serve, compiler):
    root.write("one/one.c", constant(1))
    server = serve(env=compiler.env)
    compiler.hold()
    mark = server.mark()
    root.write("one/one.c", constant(2))
    server.wait("build.started", mark, deployment="one")
    client = Client(server.url, server.run_json()["token"])
    thread, answers = in_background(client.call, "GET", "/-/wait?deployment=one")
    assert server.infer("one").stale == "building"
    server.process.send_signal(signal.SIGTERM)
    thread.join()
    compiler.go()
    assert answers[0].status == 503
    assert server.stop() == 0


def test_a_second_server_on_a_root_is_refused(root, serve):
    root.write("one/one.c", constant(1))
    server = serve()
    run = devserve(root.path, "--port", "0")
    assert run.returncode == 1 and str(server.process.pid) in run.stderr, run
    assert server.run_json()["url"] == server.url


def test_a_state_directory_that_was_cleaned_up_is_made_again(root, serve):
    root.write("one/one.c", constant(1))
    server = serve()
    while (root.path / ".devserve").exists():  # something may just be written into it
        shutil.rmtree(root.path / ".devserve", ignore_errors=True)
    assert server.save("one/one.c", constant(2))["outcome"] == "swapped"
    assert server.infer("one").value == 2
    while not (root.path / ".devserve/run.json").exists():
        pass  # written in a quiet moment after a save, of which no event tells
    assert server.run_json()["url"] == server.url


def test_what_is_printed_before_a_crash_is_shown(root, serve):
    root.write("frail.c", deployment('\tprintf("about to\\n");\n\t__builtin_trap();\n\t*y = 0;', "#include <stdio.h>"))
    server = serve()
    assert server.infer("frail").status == 500
    assert server.wait("log", deployment="frail")["text"] == "about to"


def test_bytes_that_do_not_fit_their_shape_are_the_deployments_failure(root, serve):
    root.write("odd.c", deployment('\t(void)y;\n\tfor (int32_t i = 0; i < x; i++)\n\t\tdevserve_append(call, 0, "x", 1);').replace(
        '"Y", DEVSERVE_INT32, { 1 }', '"Y", DEVSERVE_BYTES, { 2 }'))
    server = serve()
    assert server.infer("odd", x(2)).output() == ["x", "x"]
    for n in (0, 1, 3):
        answer = server.infer("odd", x(n))
        assert answer.status == 500 and f"{n} were appended" in answer.json["error"], answer
