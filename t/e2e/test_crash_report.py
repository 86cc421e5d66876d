# SPDX-License-Identifier: MIT
"""What the author is told of a crash: where, why, with which inputs."""

import re
import subprocess

import pytest

from devserve import BUILD, constant, deployment, devserve, x

SOURCE = deployment("\tdie(x);\n\t*y = 7;", """\
#include <stdlib.h>

static volatile int zero, *nowhere;

static __attribute__((noinline)) int deep(int n)
{
	volatile char page[4096];

	page[0] = (char)n;
	return n < 0 ? 0 : deep(n + 1) + page[0];
}

static __attribute__((noinline)) void die(int how)
{
	if (how == 1)
		*nowhere = how; /* null */
	if (how == 2)
		abort(); /* abort */
	if (how == 3)
		zero = how / zero; /* divide */
	if (how == 4)
		__builtin_trap(); /* trap */
	if (how == 5)
		zero = deep(1);
	if (how == 6)
		exit(3); /* exit */
	zero = 0;
}

""")


def crash(server, how, name="one"):
    mark = server.mark()
    assert server.infer(name, x(how)).status == 500
    return server.wait("crash.report", mark, deployment=name)


@pytest.mark.parametrize("how,sig,line", [(1, "SIGSEGV", "/* null */"), (2, "SIGABRT", "/* abort */"),
                                          (3, "SIGFPE", "/* divide */"), (4, "SIGILL", "/* trap */")])
def test_the_report_names_function_file_line_and_inputs(root, serve, how, sig, line):
    root.write("one/one.c", SOURCE)
    server = serve()
    report = crash(server, how)
    assert (report["signal"], report["generation"]) == (sig, 1), report
    assert "X INT32[1]" in report["call"], report
    frame = next(f for f in report["frames"] if f["file"].endswith("one/one.c"))
    assert line in frame["text"] and line in SOURCE.splitlines()[frame["line"] - 1], report
    assert any(f["function"] == "infer" for f in report["frames"]), report
    assert server.infer("one", x(0)).value == 7


def test_a_stack_overflow_is_called_so(root, serve):
    root.write("one/one.c", SOURCE)
    report = crash(serve(), 5)
    assert "stack" in report["what"], report
    assert any(f["function"] == "deep" for f in report["frames"]), report


def test_exit_is_told_with_its_place(root, serve):
    root.write("one/one.c", SOURCE)
    report = crash(serve(), 6)
    assert "exit(3)" in report["what"], report


def test_names_of_cpp_are_readable(root, serve):
    root.write("one/one.cc", constant("kernels::take(nullptr)", """
namespace kernels {
template <typename T> __attribute__((noinline)) T take(const T *from) { return *const_cast<const volatile T *>(from); }
}
""").replace("kernels::take(nullptr)", "kernels::take<int>(nullptr)"))
    report = crash(serve(), 0)
    assert any("kernels::take<int>" in f["function"] for f in report["frames"]), report


def test_a_crash_in_create_is_reported_from_the_trial(root, serve):
    root.write("one/one.c", constant(1))
    server = serve()
    mark = server.mark()
    done = server.save("one/one.c", constant(2, """
static int start(const struct devserve_host *host, void **self)
{
	return *(volatile int *)8; /* here */
}
""").replace(".infer = infer", ".create = start, .infer = infer"))
    assert done["outcome"] == "trial-failed", done
    report = server.wait("crash.report", mark, deployment="one")
    assert any("/* here */" in f["text"] for f in report["frames"]), report
    assert server.infer("one").value == 1


def test_a_call_that_hangs_shows_where(root, serve):
    root.write("one/one.c", constant("wait_here()", """
static __attribute__((noinline)) int wait_here(void) { for (volatile int i = 0;; i++) ; }
"""))
    root.write("one/deployment.yaml", "request_timeout_s: 0.3\n")
    server = serve()
    mark = server.mark()
    assert server.infer("one").status == 504
    report = server.wait("crash.report", mark, deployment="one")
    assert any(f["function"] == "wait_here" for f in report["frames"]), report


def test_the_terminal_shows_the_line(root, tmp_path):
    root.write("one/one.c", SOURCE)
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", str(BUILD / "devserve"), str(root.path), "--port", "0"],
                               stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    said = ""
    try:
        while "ready" not in said:
            said += process.stdout.readline()
        url = re.search(r"http://[\d.:]+", said).group()
        subprocess.run(["curl", "-s", f"{url}/v2/models/one/infer", "-d",
                        '{"inputs": [{"name": "X", "datatype": "INT32", "shape": [1], "data": [1]}]}'], check=True,
                       stdout=subprocess.DEVNULL)
        while "/* null */" not in said:
            said += process.stdout.readline()
        while "called with X INT32[1]" not in said:
            said += process.stdout.readline()
    finally:
        process.terminate()
        process.wait()
    assert re.search(r"one  crashed in generation 1", said), said


def test_check_names_the_line_of_a_crash_in_create(root):
    root.write("one/one.c", constant(2, """
static int start(const struct devserve_host *host, void **self)
{
	return *(volatile int *)8; /* here */
}
""").replace(".infer = infer", ".create = start, .infer = infer"))
    said = devserve("check", root.path)
    assert said.returncode != 0 and "/* here */" in said.stdout, said


def test_a_fault_inside_a_function_of_the_host_shows_who_called_it(root, serve):
    root.write("one/one.c", deployment('\tdevserve_append(call, 1, (void *)8, 100); /* here */\n\t*y = x;').replace(
        '{ "Y", DEVSERVE_INT32, { 1 } }', '{ "Y", DEVSERVE_INT32, { 1 } }, { "Z", DEVSERVE_BYTES, { 1 } }'))
    report = crash(serve(), 1)
    assert any("/* here */" in f["text"] for f in report["frames"]), report


def test_a_line_is_quoted_only_as_it_was_when_the_code_was_built(root, serve):
    root.write("one/one.c", SOURCE)
    server = serve()
    assert server.save("one/one.c", "not C\n" + SOURCE)["outcome"] == "build-failed"
    frame = next(f for f in crash(server, 1)["frames"] if f["file"].endswith("one/one.c"))
    assert frame["text"] == "" and frame["changed"], frame
    assert server.save("one/one.c", SOURCE)["outcome"] in ("swapped", "unchanged")
    frame = next(f for f in crash(server, 3)["frames"] if f["file"].endswith("one/one.c"))
    assert "/* divide */" in frame["text"] and "changed" not in frame, frame


def test_a_crash_in_the_old_destroy_is_of_the_old_generation(root, serve):
    root.write("one/one.c", constant(1, """
static void end(void *self)
{
	*(volatile int *)8 = 1; /* here */
}
""").replace(".infer = infer", ".destroy = end, .infer = infer"))
    server = serve()
    mark = server.mark()
    assert server.save("one/one.c", constant(2))["outcome"] == "swapped"
    report = server.wait("crash.report", mark, deployment="one")
    assert report["generation"] == 1 and report["frames"][0]["function"] == "end", report
    assert server.wait("worker.died", mark, deployment="one")["generation"] == 1
    assert server.infer("one").value == 2


def test_a_crash_in_a_constructor_shows_no_frame_of_the_loader(root, serve):
    root.write("one/one.c", constant(1, "__attribute__((constructor)) static void start(void) { *(volatile int *)8 = 1; }"))
    report = serve().wait("crash.report", deployment="one")
    assert [f["function"] for f in report["frames"]] == ["start"], report


def test_what_is_found_after_the_call_has_no_line(root, serve):
    root.write("one/one.c", deployment("\t((char *)y)[4] = 1;"))
    report = crash(serve(), 1)
    assert report["found_late"] and "past Y INT32[1]" in report["what"], report
    assert [(f["function"], f["text"]) for f in report["frames"]] == [("infer", "")], report


def test_each_frame_of_an_exception_says_where_it_is(root, serve):
    root.write("one/one.cc", constant("std::vector<int>(3).at(17)", "#include <vector>"))
    report = crash(serve(), 1)
    assert all(f["function"] for f in report["frames"]), report
