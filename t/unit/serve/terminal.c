/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <ctype.h>
#include <fcntl.h>
#include <pty.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <devserve/deployment.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/build.h"
#include "build/loop_change.h"
#include "peaks/peaks.h"
#include "deploy/deploy.h"
#include "serve/event.h"
#include "serve/options.h"
#include "serve/style.h"
#include "serve/terminal.h"

#include "support.h"

static const struct options plain = { .no_color = true };
static struct events *events;

/* The time of day becomes 00:00:00. */
static void normalise(char *text)
{
	for (char *c = text; strlen(c) >= 8; c++)
		if (c[2] == ':' && c[5] == ':' && (c == text || c[-1] == '\n') && isdigit((unsigned char)*c))
			memcpy(c, "00:00:00", 8);
}

static void expect_with(const struct options *o, const struct event *e, const char *expected)
{
	struct terminal *t;
	struct buffer text;

	redirect();
	events = events_new();
	t = terminal_new(events, o);
	events_emit(events, e);
	terminal_free(t);
	events_free(events);
	text = read_all();
	if (text.size)
		normalise(text.data);
	cr_expect_str_eq(buffer_text(&text), expected);
	buffer_fini(&text);
}

static void expect(const struct event *e, const char *expected)
{
	expect_with(&plain, e, expected);
}

Test(terminal, a_save_is_one_line_with_the_time_of_every_stage)
{
	const struct event_stage stages[] = {
		{ "settle", 10200000 }, { "gcc", 78100000 }, { "trial", 4000000 }, { "swap", 200000 },
	};

	expect(&(struct event){ .kind = EVENT_SAVE_DONE, .deployment = "matmul", .generation = 8, .from = 7,
				.outcome = "swapped", .stages = stages, .n_stages = 4, .took_ns = 94000000 },
	       "00:00:00 matmul  gen 7→8  saved→serving 94 ms (settle 10, gcc 78, trial 4, swap 0.2)\n");
}

Test(terminal, a_save_of_identical_code_says_so)
{
	expect(&(struct event){ .kind = EVENT_SAVE_DONE, .deployment = "matmul", .generation = 8, .from = 7,
				.outcome = "swapped", .identical = true, .took_ns = 94000000 },
	       "00:00:00 matmul  gen 7→8  saved→serving 94 ms  identical code\n");
}

Test(terminal, a_first_generation_was_not_saved_just_now)
{
	expect(&(struct event){ .kind = EVENT_SAVE_DONE, .deployment = "matmul", .generation = 1,
				.outcome = "swapped", .cached = true, .took_ns = 12000000 },
	       "00:00:00 matmul  gen 1  serving after 12 ms (no compile)\n");
}

Test(terminal, a_loop_that_won_or_lost_its_vectors_has_a_line)
{
	const struct loop_change loops[] = {
		{ "/srv/m/m.c", 19, 25, false, "control flow in loop", 0, 0 },
		{ "/srv/m/m.c", 30, 3, true, NULL, 32, 0 },
	};

	expect(&(struct event){ .kind = EVENT_LOOPS_CHANGED, .deployment = "m", .generation = 2, .from = 1,
				.loops = loops, .n_loops = 2 },
	       "00:00:00 m  gen 2: the loop at /srv/m/m.c:19:25 is no longer vectorised: control flow in loop\n"
	       "00:00:00 m  gen 2: the loop at /srv/m/m.c:30:3 is vectorised now, 32 bytes at a time\n");
}

Test(terminal, kernels_stand_below_with_what_changed)
{
	char softmax[] = "softmax", other[] = "other";
	const struct kernel_figures now[] = { { .name = softmax, .registers = 34, .shared = 256, .spilled = 8 },
					      { .name = other, .registers = 8 } };
	const struct kernel_figures before[] = { { .name = softmax, .registers = 32, .shared = 256 } };

	expect(&(struct event){ .kind = EVENT_SAVE_DONE, .deployment = "m", .generation = 2, .from = 1,
				.outcome = "swapped", .took_ns = 94000000, .kernels = now, .n_kernels = 2,
				.kernels_before = before, .n_kernels_before = 1 },
	       "00:00:00 m  gen 1→2  saved→serving 94 ms\n"
	       "    softmax: 34 (+2) registers, 256 bytes shared, 8 (+8) bytes spilled\n"
	       "    other: 8 registers, 0 bytes shared, 0 bytes spilled\n");
}

Test(terminal, kernels_of_what_does_not_serve_are_told_too)
{
	char twice[] = "twice";
	const struct kernel_figures now[] = { { .name = twice, .registers = 10, .architecture = "sm_90a" } };

	expect(&(struct event){ .kind = EVENT_TRIAL_FAILED, .deployment = "m", .reason = "there is no driver",
				.no_device = true, .kernels = now, .n_kernels = 1 },
	       "00:00:00 m  unavailable: there is no driver; nothing serves yet\n"
	       "    twice: 10 registers, 0 bytes shared, 0 bytes spilled, for sm_90a\n");
}

static struct deploy_verdict verdict_of(enum verdict_kind kind, double ratio)
{
	return (struct deploy_verdict){
		.name = "a",
		.from = 7,
		.generation = 8,
		.verdict = { .kind = kind, .ratio = ratio, .low = ratio - 0.02, .high = ratio + 0.02, .n_courses = 2,
			     .courses = { { .ratio = ratio, .low = ratio - 0.02, .high = ratio + 0.02, .old_ns = 1 },
					  { .ratio = 0.8, .low = 0.78, .high = 0.82, .old_ns = 1 } } },
		.inputs = { "X FP32[64]", "X FP32[1]" },
	};
}

static void expect_verdict(const struct deploy_verdict *v, const char *expected)
{
	expect(&(struct event){ .kind = EVENT_VERDICT, .deployment = "a", .generation = 8, .verdict = v }, expected);
}

Test(terminal, a_verdict_says_how_much_and_how_sure_and_names_who_is_against_it)
{
	struct deploy_verdict v = verdict_of(VERDICT_FASTER, 1.34);

	expect_verdict(&v, "00:00:00 a  gen 7→8  1.34× faster [1.32, 1.36]; but 1.25× slower with X FP32[1]\n");
	v = verdict_of(VERDICT_SLOWER, 0.8);
	expect_verdict(&v, "00:00:00 a  gen 7→8  1.25× slower [1.22, 1.28]\n");
	v = verdict_of(VERDICT_SAME, 1);
	v.verdict.n_courses = 1;
	expect_verdict(&v, "00:00:00 a  gen 7→8  same speed [0.98, 1.02]\n");
	v.slowed_by = "power cap";
	v.low_mhz = 1410;
	v.high_mhz = 1500;
	expect_verdict(&v, "00:00:00 a  gen 7→8  same speed [0.98, 1.02]  the GPU was slowed by power cap to 1410 MHz\n");
	v = (struct deploy_verdict){ .from = 7, .generation = 8, .reason = "the machine is too busy for it" };
	expect_verdict(&v, "00:00:00 a  gen 7→8  speed unknown: the machine is too busy for it\n");
}

static struct verdict_course course_of(double ratio, double low, double high)
{
	return (struct verdict_course){ .ratio = ratio, .low = low, .high = high, .old_ns = 1 };
}

/* Small ones that a change leaves alone, and a large one. */
static struct deploy_verdict verdict_of_three(void)
{
	return (struct deploy_verdict){
		.from = 7,
		.generation = 8,
		.verdict = { .kind = VERDICT_SLOWER, .ratio = 0.944, .low = 0.917, .high = 0.962, .n_courses = 3,
			     .courses = { course_of(0.99, 0.95, 1.03), course_of(0.975, 0.93, 1.02),
					  course_of(0.872, 0.83, 0.91) } },
		.inputs = { "X FP32[1,3]", "X FP32[2,3]", "X FP32[64,1000]" },
	};
}

Test(terminal, a_verdict_names_the_input_that_differs_most_from_the_mean)
{
	struct deploy_verdict v = verdict_of_three();

	expect_verdict(&v, "00:00:00 a  gen 7→8  1.06× slower [1.04, 1.09]; 1.15× slower with X FP32[64,1000]\n");
	v.verdict.courses[0] = course_of(0.999, 0.97, 1.02);
	v.verdict.courses[2] = course_of(0.91, 0.90, 0.915);
	expect_verdict(&v, "00:00:00 a  gen 7→8  1.06× slower [1.04, 1.09]; same speed with X FP32[1,3]\n");
	v.verdict.courses[0] = course_of(1.2, 1.1, 1.3);
	expect_verdict(&v, "00:00:00 a  gen 7→8  1.06× slower [1.04, 1.09]; but 1.20× faster with X FP32[1,3]\n");
}

Test(terminal, of_two_inputs_that_differ_a_verdict_names_the_one_that_changed_more)
{
	struct deploy_verdict v = verdict_of_three();

	v.verdict.n_courses = 2;
	v.verdict.ratio = 0.9;
	v.verdict.low = 0.88;
	v.verdict.high = 0.92;
	v.verdict.courses[0] = course_of(1, 0.98, 1.02);
	v.verdict.courses[1] = course_of(0.81, 0.79, 0.83);
	v.verdict.courses[2].old_ns = 0;
	expect_verdict(&v, "00:00:00 a  gen 7→8  1.11× slower [1.09, 1.14]; 1.23× slower with X FP32[2,3]\n");
}

Test(terminal, a_verdict_names_no_input_that_chance_may_have_set_apart)
{
	struct deploy_verdict v = verdict_of_three();

	v.verdict.courses[2].high = 0.92;
	expect_verdict(&v, "00:00:00 a  gen 7→8  1.06× slower [1.04, 1.09]\n");
	v.verdict.courses[2] = course_of(0.93, 0.925, 0.935);
	v.verdict.low = 0.938;
	expect_verdict(&v, "00:00:00 a  gen 7→8  1.06× slower [1.04, 1.07]\n");
}

/* A cache of the test's own, with the peaks of this machine in it as they are said to be. */
static void keep_peaks(const struct peaks *p)
{
	static char cache[] = "/tmp/devserve-peaks-XXXXXX";

	cr_assert_not_null(mkdtemp(cache));
	setenv("XDG_CACHE_HOME", cache, 1);
	if (p)
		cr_assert_eq(peaks_write(p), 0);
}

static void forget_peaks(void)
{
	file_remove_tree(getenv("XDG_CACHE_HOME"));
}

Test(terminal, stated_work_comes_as_rates_of_the_input_that_takes_longest, .fini = forget_peaks)
{
	struct deploy_verdict v = verdict_of(VERDICT_SAME, 1);

	keep_peaks(NULL);
	v.verdict.n_courses = 1;
	v.verdict.courses[0].new_ns = 1000;
	v.verdict.courses[1].new_ns = 2000;
	v.verdict.courses[1].old_ns = 0;
	v.works[0] = (struct work){ .flops = 1e9, .bytes = 1e9, .dtype = DEVSERVE_FP32 };
	v.works[1] = (struct work){ .flops = 20000, .bytes = 246800, .dtype = DEVSERVE_FP32 };
	expect_verdict(&v, "00:00:00 a  gen 7→8  same speed [0.98, 1.02]; 10.0 GFLOP/s; 123 GB/s\n");
}

Test(terminal, stated_work_comes_with_shares_of_what_the_machine_can_do, .fini = forget_peaks)
{
	struct deploy_verdict v = verdict_of(VERDICT_SAME, 1);

	keep_peaks(&(struct peaks){ .machine = "a machine", .threads = 2, .fp32 = { 40e9, 80e9 }, .fp64 = { 20e9, 40e9 },
				    .levels = { { "L1", 1000, { 200e9, 400e9 } }, { "memory", UINT64_MAX, { 10e9, 15e9 } } },
				    .n_levels = 2 });
	v.verdict.n_courses = 1;
	v.verdict.courses[0].new_ns = 1000;
	v.works[0] = (struct work){ .flops = 10000, .bytes = 1000, .dtype = DEVSERVE_FP32 };
	v.verdict.courses[1].new_ns = 0;
	expect_verdict(&v, "00:00:00 a  gen 7→8  same speed [0.98, 1.02]; 10.0 GFLOP/s, 25 % of the peak; "
			   "1.00 GB/s, below 1 % of L1's\n");
}

Test(terminal, work_in_a_type_without_a_peak_and_beyond_the_caches, .fini = forget_peaks)
{
	struct deploy_verdict v = verdict_of(VERDICT_SAME, 1);

	keep_peaks(&(struct peaks){ .machine = "a machine", .threads = 1, .fp32 = { 40e9, 40e9 }, .fp64 = { 20e9, 20e9 },
				    .levels = { { "L1", 1000, { 200e9, 200e9 } }, { "memory", UINT64_MAX, { 10e9, 10e9 } } },
				    .n_levels = 2 });
	v.verdict.n_courses = 1;
	v.verdict.courses[0].new_ns = 1000;
	v.works[0] = (struct work){ .flops = 10000, .bytes = 5000, .dtype = DEVSERVE_INT8 };
	v.verdict.courses[1].new_ns = 0;
	expect_verdict(&v, "00:00:00 a  gen 7→8  same speed [0.98, 1.02]; 10.0 GFLOP/s; 5.00 GB/s, 50 % of memory's\n");
}

Test(terminal, a_second_generation_is_told_of_with_what_both_did)
{
	struct companion_facts f = { .kind = COMPANION_CANARY, .generation = 7, .serving_generation = 8, .share = 0.1,
				     .serving = { .requests = 90, .median_ns = 2500 },
				     .beside = { .requests = 10, .failures = 3, .median_ns = 1500000 } };
	struct event e = { .kind = EVENT_CANARY_STARTED, .deployment = "m", .generation = 7, .companion = &f };

	expect(&e, "00:00:00 m  canary: generation 7 answers 10 % of the requests, generation 8 the others\n");
	e.kind = EVENT_CANARY_ENDED;
	e.reason = "it was asked to";
	expect(&e, "00:00:00 m  canary ended: it was asked to; generation 7: 10 requests, 3 failed, median 1.5 ms; "
		   "generation 8: 90 requests, median 2.5 µs\n");
	f.verdict = (struct verdict){ .kind = VERDICT_FASTER, .ratio = 1.34, .low = 1.31, .high = 1.37, .n_courses = 1 };
	e.kind = EVENT_CANARY_VERDICT;
	expect(&e, "00:00:00 m  canary: generation 7 beside 8  1.34× faster [1.31, 1.37]\n");
	f.kind = COMPANION_SHADOW;
	f.compared = 20;
	f.differing = 1;
	e.kind = EVENT_SHADOW_DIFFERS;
	e.reason = "for X INT32[1]: Y[0] is \033[31m1";
	expect(&e, "00:00:00 m  shadow differs: generation 7, for X INT32[1]: Y[0] is 1 (1 of 20 calls so far)\n");
}

Test(terminal, an_unchanged_or_overtaken_save_prints_nothing)
{
	expect(&(struct event){ .kind = EVENT_SAVE_DONE, .deployment = "m", .outcome = "unchanged" }, "");
	expect(&(struct event){ .kind = EVENT_SAVE_DONE, .deployment = "m", .outcome = "superseded" }, "");
}

Test(terminal, what_the_compiler_said_is_printed_as_it_said_it)
{
	char error[] = "error", note[] = "note", fatal[] = "fatal error", file[] = "/elsewhere/matmul.c";
	const struct diagnostic diagnostics[] = {
		{ .severity = note }, { .severity = error, .file = file, .line = 3, .column = 5 }, { .severity = fatal },
	};

	expect(&(struct event){ .kind = EVENT_BUILD_FAILED, .deployment = "matmul", .generation = 7,
				.text = "matmul.c:3:5: error: expected ';'\n   3 | x",
				.diagnostics = diagnostics, .n_diagnostics = 3 },
	       "matmul.c:3:5: error: expected ';'\n   3 | x\n"
	       "00:00:00 matmul  build failed, 2 errors, the first at /elsewhere/matmul.c:3:5; "
	       "generation 7 still serves\n");
	expect(&(struct event){ .kind = EVENT_BUILD_FAILED, .deployment = "matmul", .generation = 7,
				.diagnostics = diagnostics, .n_diagnostics = 2 },
	       "00:00:00 matmul  build failed, 1 error at /elsewhere/matmul.c:3:5; generation 7 still serves\n");
	expect(&(struct event){ .kind = EVENT_BUILD_WARNED, .deployment = "m", .text = "warning: w\n" },
	       "warning: w\n");
}

Test(terminal, a_failure_says_why_and_what_serves)
{
	expect(&(struct event){ .kind = EVENT_TRIAL_FAILED, .deployment = "m", .reason = "create() said\nno.\n" },
	       "00:00:00 m  trial failed: create() said no; nothing serves yet\n");
	expect(&(struct event){ .kind = EVENT_TRIAL_FAILED, .deployment = "m", .no_device = true, .reason = "no GPU" },
	       "00:00:00 m  unavailable: no GPU; nothing serves yet\n");
	expect(&(struct event){ .kind = EVENT_SWAP_REFUSED, .deployment = "m", .generation = 3, .reason = "r" },
	       "00:00:00 m  swap refused: r; generation 3 still serves\n");
	expect(&(struct event){ .kind = EVENT_BUILD_FAILED, .deployment = "m", .reason = "no compiler" },
	       "00:00:00 m  build failed: no compiler; nothing serves yet\n");
}

Test(terminal, a_death_and_the_takeover_are_told)
{
	expect(&(struct event){ .kind = EVENT_WORKER_DIED, .deployment = "m", .generation = 3, .pid = 42,
				.reason = "was killed by signal 11" },
	       "00:00:00 m  worker 42 of generation 3 was killed by signal 11\n");
	expect(&(struct event){ .kind = EVENT_WORKER_REPLACED, .deployment = "m", .generation = 3, .pid = 43,
				.took_ns = 12340000 },
	       "00:00:00 m  worker 43 took over after 12 ms, generation 3\n");
	expect(&(struct event){ .kind = EVENT_WORKER_REPLACED, .deployment = "m", .generation = 3, .pid = 43,
				.took_ns = 340 },
	       "00:00:00 m  worker 43 took over, generation 3\n");
}

Test(terminal, ready_says_how_many_of_how_many_serve)
{
	expect(&(struct event){ .kind = EVENT_SERVER_READY, .url = "http://localhost:1", .took_ns = 48000000,
				.n_deployments = 3, .n_serving = 2 },
	       "ready in 48 ms  2 of 3 serve  http://localhost:1\n");
	expect(&(struct event){ .kind = EVENT_SERVER_READY, .url = "http://localhost:1" },
	       "ready  http://localhost:1\n");
}

static struct event_frame frame(const char *function, unsigned line)
{
	return (struct event_frame){ .function = function, .file = "/m/m.c", .text = "", .line = line };
}

Test(terminal, what_took_too_long_did_not_crash)
{
	expect(&(struct event){ .kind = EVENT_CRASH_REPORT, .deployment = "m", .generation = 3, .signal = "SIGXCPU",
				.reason = "was stopped because a call took too long" },
	       "00:00:00 m  interrupted in generation 3: it was stopped because a call took too long\n");
}

static void expect_crash(const struct event_frame *frames, size_t n, const char *expected)
{
	const struct options ours_is_tmp = { .no_color = true, .root = "/tmp" };

	expect_with(&ours_is_tmp, &(struct event){ .kind = EVENT_CRASH_REPORT, .deployment = "m", .reason = "died",
						   .frames = frames, .n_frames = n }, expected);
}

Test(terminal, the_line_shown_is_the_first_of_the_authors_own)
{
	const struct event_frame frames[] = {
		{ .function = "at", .file = "/usr/include/vector", .text = "throw", .line = 9 },
		{ .function = "infer", .file = "/tmp/m/m.cc", .text = "v.at(17);", .line = 2 },
	};

	expect_crash(frames, 2, "00:00:00 m  crashed: it died\n"
				"    m/m.cc:2\n"
				"      2 │ v.at(17);\n"
				"    #0 at  /usr/include/vector:9\n"
				"    #1 infer  m/m.cc:2\n");
}

Test(terminal, a_line_of_a_file_that_was_saved_since_is_not_quoted)
{
	const struct event_frame frames[] = {
		{ .function = "infer", .file = "/tmp/m.c", .text = "", .line = 2, .changed = true },
	};

	expect_crash(frames, 1, "00:00:00 m  crashed: it died\n"
				"    m.c:2\n"
				"      2 │ (saved since this was built: line 2 may be another now)\n"
				"    #0 infer  m.c:2\n");
}

Test(terminal, frames_of_a_recursion_are_folded)
{
	struct event_frame frames[12];

	for (size_t i = 0; i < 12; i++)
		frames[i] = i == 0 ? frame("leaf", 1) : i < 6 ? frame("walk", 2) : i == 11 ? frame("infer", 9) :
			    i % 2 ? frame("even", 3) : frame("odd", 4);
	expect(&(struct event){ .kind = EVENT_CRASH_REPORT, .deployment = "m", .generation = 3,
				.what = "ran out of stack", .frames = frames, .n_frames = 12 },
	       "00:00:00 m  crashed in generation 3: it ran out of stack\n"
	       "    #0 leaf  /m/m.c:1\n"
	       "    #1 walk  /m/m.c:2\n"
	       "       … 5 times\n"
	       "    #6 odd  /m/m.c:4\n"
	       "    #7 even  /m/m.c:3\n"
	       "    #8 odd  /m/m.c:4\n"
	       "    #9 even  /m/m.c:3\n"
	       "    #10 odd  /m/m.c:4\n"
	       "    #11 infer  /m/m.c:9\n");
}

Test(terminal, frames_that_call_each_other_are_folded_together)
{
	struct event_frame frames[8];

	for (size_t i = 0; i < 8; i++)
		frames[i] = i == 7 ? frame("infer", 9) : i % 2 ? frame("even", 3) : frame("odd", 4);
	expect(&(struct event){ .kind = EVENT_CRASH_REPORT, .deployment = "m", .reason = "died",
				.frames = frames, .n_frames = 8 },
	       "00:00:00 m  crashed: it died\n"
	       "    #0 odd  /m/m.c:4\n"
	       "    #1 even  /m/m.c:3\n"
	       "       … these 2, 3 times\n"
	       "    #6 odd  /m/m.c:4\n"
	       "    #7 infer  /m/m.c:9\n");
}

Test(terminal, without_a_terminal_progress_is_a_line_a_quarter)
{
	char name[] = "a";
	struct terminal *t;
	struct buffer text;

	redirect();
	events = events_new();
	t = terminal_new(events, &plain);
	for (unsigned i = 0; i < 16; i++, name[0]++)
		events_emit(events, &(struct event){ .kind = EVENT_DEPLOYMENT_ADDED, .deployment = name });
	for (unsigned i = 0; i < 16; i++) {
		name[0] = (char)('a' + i);
		events_emit(events, &(struct event){ .kind = EVENT_BUILD_STARTED, .deployment = name, .build = i + 1 });
		events_emit(events, &(struct event){ .kind = EVENT_SAVE_DONE, .deployment = name, .build = i + 1,
						     .outcome = "build-failed" });
	}
	terminal_free(t);
	events_free(events);
	text = read_all();
	cr_expect_str_eq(buffer_text(&text), "building 4/16\nbuilding 8/16\nbuilding 12/16\n");
	buffer_fini(&text);
}

Test(terminal, a_log_line_cannot_move_the_cursor)
{
	expect(&(struct event){ .kind = EVENT_LOG, .deployment = "m", .level = "info",
				.text = "a\033[2Jb\rc\tä\xc2\x9b" "1m\033\n\nz\033[\n\033]0;title\ax\033]8;;http://evil\na\x9b\xff" "b\xed\xa0\x80" },
	       "m │ ab?c\tä?1m\nm │ \nm │ z\nm │ x\nm │ a??b???\n");
}

Test(terminal, colour_needs_a_terminal_that_has_it)
{
	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
	redirect();
	cr_expect_not(style_has_color(STDOUT_FILENO, false), "a pipe");
}

Test(terminal, no_color_is_obeyed_on_a_terminal)
{
	int ends[2];

	cr_assert_eq(openpty(&ends[0], &ends[1], NULL, NULL, NULL), 0);
	setenv("TERM", "xterm", 1);
	unsetenv("NO_COLOR");
	cr_expect(style_has_color(ends[1], false));
	cr_expect_not(style_has_color(ends[1], true));
	setenv("NO_COLOR", "", 1);
	cr_expect(style_has_color(ends[1], false), "an empty one is no wish");
	setenv("NO_COLOR", "1", 1);
	cr_expect_not(style_has_color(ends[1], false));
	unsetenv("NO_COLOR");
	setenv("TERM", "dumb", 1);
	cr_expect_not(style_has_color(ends[1], false));
	unsetenv("TERM");
	cr_expect_not(style_has_color(ends[1], false));
}
