# SPDX-License-Identifier: MIT
"""What a worker dies of is written down as it dies: the client's sentence and the author's
report name it, and the next call is answered."""


import pytest

from devserve import constant, x

INCLUDES = "".join(f"#include <{h}>\n" for h in (
    "pthread.h", "signal.h", "stdint.h", "stdlib.h", "string.h", "sys/mman.h", "unistd.h"))

ONE = '{ "X", DEVSERVE_INT32, { 1 } }'


def bad(act, extra="", output='{ "Y", DEVSERVE_INT32, { 1 } }'):
    """Does `act` when it is asked with a negative number; else answers 7."""
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
	.infer = infer,
)
"""


def names(report, *functions):
    """Whether one of `functions` was found among the frames."""
    return bool(set(functions) & {f["function"] for f in report["frames"]})


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
    "calls what is no function": ("static int (*volatile wild)(void) = (int (*)(void))0x1234; return wild() + 1;", "", "SIGSEGV",
                                  "called 0x1234, where no code is"),
    "recurses for ever": ("return deep(1);", """
static int deep(int n) { volatile char room[4096]; room[n % 4096] = 1; return deep(n + 1) + room[7]; }
""", "SIGSEGV", "overflowed its stack"),
    "recurses for ever in a thread": ("pthread_t t; pthread_create(&t, 0, run, 0); pthread_join(t, 0);", """
static int deep(int n) { volatile char room[4096]; room[n % 4096] = 1; return deep(n + 1) + room[7]; }
static void *run(void *p) { deep(1); return p; }
""", "SIGSEGV", "overflowed its stack"),
    "divides by zero": ("volatile int zero = 0; zero = 10 / zero;", "", "SIGFPE", "divided an integer by zero"),
    "writes to its input": ("*x = 1;", "", "SIGSEGV", "wrote to its input X INT32[1]"),
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
    assert names(report, "infer", "deep"), report
    assert server.infer("bad", x(1)).value == 7


def test_an_output_that_nobody_made_may_be_the_null_pointer_that_was_written_through(root, serve):
    root.write("bad.c", bad("", output='{ "Y", DEVSERVE_INT32, { -1 } }'))
    server = serve()
    for value in (1, -1):
        answer = server.infer("bad", x(value))
        assert answer.status == 500 and ('wrote through a null pointer; if it was output "Y": that has no memory until '
                                         "devserve_make(), or with .shape = DEVSERVE_SAME_SHAPE") in answer.json["error"], answer


def test_no_output_is_named_where_a_null_pointer_was_read(root, serve):
    root.write("bad.c", bad("return *(volatile int *)8;", output='{ "Y", DEVSERVE_INT32, { -1 } }'))
    answer = serve().infer("bad", x(-1))
    assert answer.status == 500 and "read through a null pointer" in answer.json["error"] and '"Y"' not in answer.json["error"], answer


def test_what_returns_neither_0_nor_an_errno_is_told_what_it_returned(root, serve):
    root.write("bad.c", bad("return 7;"))
    answer = serve().infer("bad", x(-1))
    assert answer.status == 500
    assert answer.json["error"] == "infer() returned 7; it must return 0, or a negative errno", answer


def test_aborts_and_traps_name_their_place(root, serve):
    root.write("bad.c", bad("abort();"))
    root.write("worse.c", bad("__builtin_trap();"))
    server = serve()
    for name, signal in (("bad", "SIGABRT"), ("worse", "SIGILL")):
        assert server.infer(name, x(-1)).status == 500
        report = server.wait("crash.report", deployment=name)
        assert report["signal"] == signal and names(report, "infer"), report


def test_what_takes_too_long_is_named_by_its_place(root, serve):
    root.write("slow/slow.c", bad("for (;;) spin();", "static void __attribute__((noinline)) spin(void) { usleep(1000); }"))
    root.write("slow/deployment.yaml", "request_timeout_s: 1\n")
    server = serve()
    assert server.infer("slow", x(-1)).status == 504
    report = server.wait("crash.report", deployment="slow")
    assert report["signal"] == "SIGXCPU" and names(report, "infer"), report
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


def past(n, value="0x55"):
    """Write `n` bytes past the first output."""
    return f"memset((char *)y + call->out[0].size, {value}, {n});"


def make(extents):
    """Give the output its shape late."""
    shape = ", ".join(map(str, extents))
    return f"""
	int32_t *y = devserve_make(call, 0, {shape});
	if (!y) return -1;
	for (size_t i = 0; i < call->out[0].size / 4; i++) y[i] = (int32_t)i;"""


GIVEN = "int32_t *y = call->out[0].data; for (size_t i = 0; i < call->out[0].size / 4; i++) y[i] = (int32_t)i;"


def writer(extents, n, late):
    """Writes its output and, when asked with a negative number, `n` bytes past it."""
    declared = ", ".join("-1" if late else str(e) for e in extents)
    source = bad("", output=f'{{ "OUTPUT0", DEVSERVE_INT32, {{ {declared} }} }}')
    body = (make(extents) if late else GIVEN) + f"\n\tif (*x < 0) {past(n)}\n\treturn 0;"
    return source.replace("\t((int32_t *)call->out[0].data)[0] = 7;\n\treturn 0;", body)


def check_overrun(root, serve, extents, n, late, told):
    """n bytes too many end the call, are told so, and cost the next one nothing."""
    root.write("bad.c", writer(extents, n, late))
    server = serve()
    told += f"OUTPUT0 INT32[{','.join(map(str, extents))}]"
    right = list(range(extents[0] * (extents + [1])[1]))
    assert server.infer("bad", x(1)).output("OUTPUT0") == right
    mark = server.mark()
    answer = server.infer("bad", x(-1))
    assert answer.status == 500 and told in answer.json["error"], answer
    report = server.wait("crash.report", mark, deployment="bad")
    assert report["what"] == told and names(report, "infer"), report
    assert server.infer("bad", x(1)).output("OUTPUT0") == right


@pytest.mark.parametrize("late", [False, True], ids=["given", "found late"])
@pytest.mark.parametrize("extents", [[3], [8, 15], [8195], [8208]], ids=str)
@pytest.mark.parametrize("n", [1, 3])
def test_bytes_past_an_output_are_counted_and_told(root, serve, extents, n, late):
    check_overrun(root, serve, extents, n, late, f"wrote {n} byte{'s' if n > 1 else ''} past ")


@pytest.mark.parametrize("late", [False, True], ids=["given", "found late"])
@pytest.mark.parametrize("extents,n", [([8, 16], 1), ([8192], 1), ([3], 53)], ids=str)
def test_the_page_behind_an_output_is_not_to_be_touched(root, serve, extents, n, late):
    check_overrun(root, serve, extents, n, late, "wrote past the end of ")


def test_a_second_shape_that_is_smaller_keeps_what_was_written(root, serve):
    source = bad("", output='{ "OUTPUT0", DEVSERVE_INT32, { -1 } }')
    root.write("bad.c", source.replace("\t((int32_t *)call->out[0].data)[0] = 7;", """
	int32_t *y = devserve_make(call, 0, 100);
	if (!y) return -1;
	for (int i = 0; i < 3; i++) y[i] = i;
	if (devserve_make(call, 0, 3) != y) return -5;"""))
    server = serve()
    assert server.infer("bad", x(1)).output("OUTPUT0") == [0, 1, 2]


def test_every_output_of_many_is_watched(root, serve):
    ports = ", ".join(f'{{ "Y{i}", DEVSERVE_UINT8, {{ {i + 1} }} }}' for i in range(32))
    source = bad("((char *)call->out[31 + *x].data)[32 + *x] = 0x55;", output=ports)
    root.write("bad.c", source.replace("\t((int32_t *)call->out[0].data)[0] = 7;", """
	for (uint32_t i = 0; i < call->n_out; i++)
		memset(call->out[i].data, (int)i, call->out[i].size);"""))
    server = serve()
    answer = server.infer("bad", x(1))
    assert [answer.output(f"Y{i}") for i in range(32)] == [[i] * (i + 1) for i in range(32)]
    for i in (30, 0, 17):
        answer = server.infer("bad", x(i - 31))
        assert f"wrote 1 byte past Y{i} UINT8[{i + 1}]" in answer.json["error"], answer


def test_damage_is_told_also_when_infer_fails(root, serve):
    source = writer([3], 2, False).replace("\treturn 0;", '\treturn *x < 0 ? devserve_refuse(call, "no") : 0;')
    root.write("bad.c", source)
    server = serve()
    answer = server.infer("bad", x(-1))
    assert answer.status == 500 and "wrote 2 bytes past OUTPUT0 INT32[3]" in answer.json["error"], answer


def test_the_generation_before_serves_again_when_one_writes_past_an_output(root, serve):
    root.write("bad.c", writer([3], 0, False))
    server = serve()
    assert server.infer("bad", x(-1)).status == 200
    assert server.save("bad.c", writer([3], 2, False), "bad")["outcome"] == "swapped"
    answer = server.infer("bad", x(-1))
    assert (answer.status, answer.generation, answer.stale) == (200, 1, "crashed"), answer
    server.wait("deployment.fell-back", deployment="bad")
