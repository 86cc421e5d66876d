# SPDX-License-Identifier: MIT
"""What plugins print: told, kept, bounded."""

import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import threading
import time

import pytest

from devserve import BUILD, constant, deployment, devserve, X

LOUD = constant("shout()", """
#include <stdio.h>
static int shout(void)
{
	for (int i = 0; i < 4000000; i++)
		puts("forty-nine bytes that nobody will ever want to see");
	fflush(stdout);
	return 1;
}
""")


def rss_kb(pid):
    return int(next(line.split()[1] for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                    if line.startswith("VmRSS")))


def test_a_plugin_that_prints_200_megabytes_hurts_nobody_else(root, serve):
    root.write("loud/loud.c", LOUD)
    root.write("calm/calm.c", constant(7))
    server = serve()
    server.infer("calm")
    before, mark, began = rss_kb(server.process.pid), server.mark(), time.monotonic()
    done = threading.Event()

    def shout():
        server.new_client().infer("loud", X)
        done.set()

    threading.Thread(target=shout).start()
    answers = 0
    while not done.is_set():
        assert server.infer("calm").value == 7
        answers += 1
    assert answers > 20
    notice = server.wait("notice", mark, deployment="loud")
    assert "lines were not shown" in notice["reason"], notice
    lines = server.seen("log", mark, deployment="loud")
    assert 0 < len(lines) <= 200 * (time.monotonic() - began + 2), len(lines)
    assert rss_kb(server.process.pid) - before < 8192


def test_short_lines_that_pour_in_leave_the_loop_to_others(root, serve):
    root.write("loud.c", constant("pour()", """
#include <unistd.h>
static int pour(void)
{
	static char text[65536];
	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = i % 2 ? '\\n' : 'y';
	for (long done = 0; done < 100L << 20;) {
		ssize_t n = write(1, text, sizeof(text));
		done += n > 0 ? n : 0;
	}
	return 1;
}
"""))
    root.write("calm.c", constant(7))
    server = serve()
    times, answers = [], []
    loud = threading.Thread(target=lambda: answers.append(server.new_client().infer("loud")))
    loud.start()
    while loud.is_alive():
        begin = time.monotonic()
        assert server.infer("calm").value == 7
        times.append(time.monotonic() - begin)
    assert answers[0].status == 200, answers  # and it was not kept waiting for ever
    assert sorted(times)[len(times) // 2] < (0.01 if not os.environ.get("DEVSERVE_SANITIZE") else 0.2), sorted(times)


def test_lines_are_kept_in_a_file_and_read_by_logs(root, serve):
    root.write("one/one.c", constant('(puts("hello"), devserve_log(call->host, DEVSERVE_WARNING, "mind %d", 7), 1)',
                                     "#include <stdio.h>\n"))
    server = serve()
    server.infer("one")
    server.wait("log", deployment="one", text="hello")
    server.wait("log", deployment="one", text="mind 7")
    server.stop()
    said = devserve("logs", "one", "--root", root.path)
    assert said.returncode == 0 and "gen 1 info hello" in said.stdout and "warning mind 7" in said.stdout, said
    lines = [json.loads(line) for line in devserve("logs", "one", "--json", "--root", root.path).stdout.splitlines()]
    assert {(e["level"], e["text"], e["generation"]) for e in lines} >= {("info", "hello", 1), ("warning", "mind 7", 1)}
    last = devserve("logs", "one", "-n", "1", "--root", root.path).stdout
    assert last.count("\n") == 1, last


def test_text_is_kept_as_it_is_and_shown_without_what_moves_the_cursor(root, serve):
    root.write("one/one.c", constant('(puts("    \\033[31mred"), 1)', "#include <stdio.h>\n"))
    server = serve()
    server.infer("one")
    server.wait("log", deployment="one")
    server.stop()
    assert "    ?[31mred" in devserve("logs", "one", "--root", root.path).stdout
    line = json.loads(devserve("logs", "one", "--json", "--root", root.path).stdout)
    assert line["text"] == "    \033[31mred", line


def test_logs_follows_what_is_printed(root, serve):
    root.write("one/one.c", constant('(puts("again"), 1)', "#include <stdio.h>\n"))
    server = serve()
    server.infer("one")
    server.wait("log", deployment="one")
    reader = subprocess.Popen([str(BUILD / "devserve"), "logs", "-f", "one", "--root", str(root.path)],
                              stdout=subprocess.PIPE, text=True)
    try:
        assert "again" in reader.stdout.readline()
        server.infer("one")
        assert "again" in reader.stdout.readline()
    finally:
        reader.send_signal(signal.SIGINT)
        assert reader.wait(30) != 0


def test_logs_as_json_are_the_events(root, serve):
    root.write("one.c", constant('(puts("  indented, \\033[31mred"), 1)', "#include <stdio.h>\n"))
    server = serve()
    server.infer("one")
    told = server.wait("log", deployment="one")
    assert told["text"] == "  indented, \033[31mred"
    assert server.stop() == 0
    kept = json.loads(devserve("logs", "one", "--json", "--root", root.path).stdout)
    assert kept.pop("time")[:16] == told.pop("time")[:16]
    assert kept == told


def test_what_a_worker_without_a_generation_prints_has_none(root, serve):
    root.write("one.c", deployment("	*y = 1;", """
#include <stdio.h>
__attribute__((constructor)) static void hello(void) { puts("gen of nothing"); }
"""))
    server = serve()
    told = server.wait("log", deployment="one", text="gen of nothing")
    assert "generation" not in told
    assert server.stop() == 0
    lines = devserve("logs", "one", "--root", root.path).stdout.splitlines()
    assert [line[24:] for line in lines] == [" info gen of nothing"]
    kept = json.loads(devserve("logs", "one", "--json", "--root", root.path).stdout)
    assert (kept["level"], kept["text"]) == ("info", "gen of nothing") and "generation" not in kept, kept


def test_everything_that_was_shown_is_kept_at_the_end(root, serve):
    root.write("one.c", constant("count()", """
#include <stdio.h>
static int count(void) { for (int i = 0; i < 200; i++) printf("line %d\\n", i); return 1; }
"""))
    server = serve()
    server.infer("one")
    server.wait("log", deployment="one")
    assert server.stop() == 0
    shown = [e["text"] for e in server.seen("log", deployment="one")]
    kept = devserve("logs", "one", "-n", "1000", "--root", root.path).stdout.splitlines()
    assert [line.split(" info ")[1] for line in kept] == shown


def test_a_file_that_is_large_enough_is_turned_over(root, serve):
    root.write("one.c", constant('(puts("of today"), 1)', "#include <stdio.h>\n"))
    directory = root.path / ".devserve/logs"
    directory.mkdir(parents=True)
    long_ago = "2026-01-31T14:03:22.123Z gen 1 info of long ago\n" * 22000
    (directory / "one.log").write_text(long_ago)
    (directory / "one.log.1").write_text("older still\n")
    server = serve()
    server.infer("one")
    server.wait("log", deployment="one")
    assert server.stop() == 0
    assert (directory / "one.log.1").read_text() == long_ago
    assert (directory / "one.log").read_text().endswith("Z gen 1 info of today\n")
    lines = devserve("logs", "one", "-n", "2", "--root", root.path).stdout.splitlines()
    assert [line.split(" info ")[1] for line in lines] == ["of long ago", "of today"]


def test_a_line_that_a_killed_server_left_is_ended(root, serve):
    root.write("one.c", constant('(puts("of today"), 1)', "#include <stdio.h>\n"))
    file = root.path / ".devserve/logs/one.log"
    file.parent.mkdir(parents=True)
    file.write_text("2026-01-31T14:03:22.123Z gen 1 info of long a")
    server = serve()
    server.infer("one")
    server.wait("log", deployment="one")
    assert server.stop() == 0
    assert [line[24:] for line in file.read_text().splitlines()] == [" gen 1 info of long a", " gen 1 info of today"]


def test_logs_of_nobody_is_an_error_with_the_place(root):
    said = devserve("logs", "nobody", "--root", root.path)
    assert said.returncode == 1 and f"there is no deployment 'nobody' in {root.path}" in said.stderr, said
    root.write("anybody/a.c", constant(1))
    assert "did you mean 'anybody'?" in devserve("logs", "anybody_", "--root", root.path).stderr


def test_logs_of_who_says_nothing_are_empty(root):
    root.write("one/src/one.c", constant(1))
    said = devserve("logs", "one", "--root", root.path)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "devserve: one has printed nothing yet\n")


def test_a_crash_leaves_a_core_where_it_is_said_to_be(root, serve, tmp_path, monkeypatch):
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern[:1] in "|/%" or not resource.getrlimit(resource.RLIMIT_CORE)[1]:
        pytest.skip(f"this system's cores go elsewhere: {pattern}")
    monkeypatch.chdir(tmp_path)
    root.write("frail.c", deployment("\t__builtin_trap();\n\t*y = 0;"))
    server = serve("--core")
    place = re.fullmatch(r"a worker that crashes dumps core to (.*) \(kernel.core_pattern\)",
                         server.wait("notice")["reason"])[1]
    assert place.startswith(str(tmp_path))
    assert server.infer("frail").status == 500
    server.wait("worker.died", deployment="frail")
    if "%" not in place:
        core = next(tmp_path.glob(pathlib.Path(place.replace("PID", "*")).name))
        assert core.read_bytes()[:4] == b"\x7fELF"


@pytest.mark.parametrize("args,cores", [((), 0), (("--core",), resource.getrlimit(resource.RLIMIT_CORE)[1])])
def test_core_dumps_only_when_asked_for(root, serve, args, cores):
    root.write("one/one.c", constant("limit()", """
#include <sys/resource.h>
static int limit(void) { struct rlimit r; getrlimit(RLIMIT_CORE, &r); return r.rlim_cur == 0 ? 0 : 1; }
"""))
    assert serve(*args).infer("one").value == (1 if cores else 0)
