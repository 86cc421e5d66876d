# SPDX-License-Identifier: MIT
"""What a worker dies of is written down as it dies: the client's sentence and the author's
report name it, and the next call is answered."""

import pytest

from devserve import constant

INCLUDES = "".join(f"#include <{h}>\n" for h in (
    "pthread.h", "signal.h", "stdint.h", "stdlib.h", "string.h", "sys/mman.h", "unistd.h"))

ONE = '{ "X", DEVSERVE_INT32, { 1 } }'


def bad(act, extra="", output='{ "Y", DEVSERVE_INT32, { 1 } }', shape=None):
    """Does `act` when it is asked with a negative number; else answers 7."""
    more = f"\t.shape = {shape},\n" if shape else ""
    return INCLUDES + f"""\
#include <devserve/deployment.h>
{extra}
static int infer(const struct devserve_call *call)
{{
	int32_t *x = call->in[0].data;

	if (*x < 0) {{
		{act}
	}}
	((int32_t *)call->out[0].data)[0] = 7;
	return 0;
}}

DEVSERVE_DEPLOYMENT(
	.inputs = DEVSERVE_TENSORS({ONE}),
	.outputs = DEVSERVE_TENSORS({output}),
{more}	.infer = infer,
)
"""


def x(value):
    return {"inputs": [{"name": "X", "datatype": "INT32", "shape": [1], "data": [value]}]}


DIES = {
    "writes through a null pointer": ("*(volatile int *)8 = 1;", "", "SIGSEGV", "wrote through a null pointer"),
    "reads through a null pointer": ("return *(volatile int *)8;", "", "SIGSEGV", "read through a null pointer"),
    "writes to a wild address": ("*(volatile int *)0x123450000000 = 1;", "", "SIGSEGV",
                                 "wrote to 0x123450000000, where no memory is"),
    "writes to its own constants": ("*(volatile char *)text = 1;", "static const char text[] = \"constant\";",
                                    "SIGSEGV", "which it may not"),
    "follows garbage": ("*(volatile int *)(uintptr_t)0xdeadbeefdeadbeef = 1;", "", "SIGSEGV",
                        "followed a pointer that is no address at all"),
    "calls a null pointer": ("static int (*volatile nothing)(void); return nothing() + 1;", "", "SIGSEGV",
                             "called a null pointer"),
    "recurses for ever": ("return deep(1);", """
static int deep(int n) { volatile char room[4096]; room[n % 4096] = 1; return deep(n + 1) + room[7]; }
""", "SIGSEGV", "overflowed its stack"),
    "recurses for ever in a thread": ("pthread_t t; pthread_create(&t, 0, run, 0); pthread_join(t, 0);", """
static int deep(int n) { volatile char room[4096]; room[n % 4096] = 1; return deep(n + 1) + room[7]; }
static void *run(void *p) { deep(1); return p; }
""", "SIGSEGV", "overflowed its stack"),
    "divides by zero": ("volatile int zero = 0; zero = 10 / zero;", "", "SIGFPE", "divided an integer by zero"),
    "calls exit()": ("exit(3);", "", None, "called exit(3)"),
}


@pytest.mark.parametrize("what", DIES)
def test_the_client_and_the_author_are_told_when_it(root, serve, what):
    act, extra, signal, sentence = DIES[what]
    root.write("bad.c", bad(act, extra))
    server = serve()
    assert server.infer("bad", x(1)).value == 7
    mark = server.mark()
    answer = server.infer("bad", x(-1))
    assert answer.status == 500 and sentence in answer.json["error"], answer
    report = server.wait("crash.report", mark, deployment="bad")
    assert sentence in report["what"] and report.get("signal") == signal, report
    functions = [f.get("function") for f in report["frames"]]
    assert {"infer", "deep"} & set(functions), report
    assert server.infer("bad", x(1)).value == 7


def test_aborts_and_traps_name_their_place(root, serve):
    root.write("bad.c", bad("abort();"))
    root.write("worse.c", bad("__builtin_trap();"))
    server = serve()
    for name, signal in (("bad", "SIGABRT"), ("worse", "SIGILL")):
        assert server.infer(name, x(-1)).status == 500
        report = server.wait("crash.report", deployment=name)
        assert report["signal"] == signal and "infer" in [f.get("function") for f in report["frames"]], report


def test_what_takes_too_long_is_named_by_its_place(root, serve):
    root.write("slow/slow.c", bad("for (;;) spin();", "static void __attribute__((noinline)) spin(void) { usleep(1000); }"))
    root.write("slow/deployment.yaml", "request_timeout_s: 1\n")
    server = serve()
    assert server.infer("slow", x(-1)).status == 504
    report = server.wait("crash.report", deployment="slow")
    assert report["signal"] == "SIGXCPU" and "infer" in [f.get("function") for f in report["frames"]], report
    assert server.infer("slow", x(1)).value == 7


def test_a_handler_that_finds_nothing_whole_still_ends(root, serve):
    root.write("bad.c", bad("""
		sigset_t all; sigfillset(&all); sigdelset(&all, SIGSEGV); sigprocmask(SIG_BLOCK, &all, 0);
		char room[8]; volatile uintptr_t *p = (uintptr_t *)room;
		for (int i = 0; i < 40; i++) p[i] = 0x4141414141414141;"""))
    server = serve()
    mark = server.mark()
    assert server.infer("bad", x(-1)).status == 500
    server.wait("worker.died", mark, deployment="bad")
    assert server.infer("bad", x(1)).value == 7
