/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "build/build.h"
#include "build/loop_change.h"
#include "deploy/deploy.h"
#include "serve/event.h"

static struct events *events;
static struct buffer seen = BUFFER_NULL;

/* Keeps the lines; the time, once its form was checked, becomes T. */
static void keep(void *context, const struct event *e, const char *json, size_t size)
{
	regmatch_t time[2];
	regex_t form;

	(void)context, (void)e;
	cr_assert_eq(strlen(json), size);
	cr_assert_eq(regcomp(&form,
			     "^\\{\"event\":\"[a-z.]+\",\"time\":\"(20[0-9]{2}-[01][0-9]-[0-3][0-9]"
			     "T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z)\".*\\}\n$", REG_EXTENDED), 0);
	cr_assert_eq(regexec(&form, json, 2, time, 0), 0, "%s", json);
	buffer_append(&seen, json, (size_t)time[1].rm_so);
	buffer_putc(&seen, 'T');
	buffer_puts(&seen, json + time[1].rm_eo);
	regfree(&form);
}

static void expect(const struct event *e, const char *line)
{
	buffer_reset(&seen);
	events_emit(events, e);
	cr_expect_str_eq(buffer_text(&seen), line);
}

static void setup(void)
{
	events = events_new();
	events_add_sink(events, keep, NULL);
}

static void teardown(void)
{
	events_free(events);
	buffer_fini(&seen);
}

TestSuite(event, .init = setup, .fini = teardown);

Test(event, what_is_not_set_is_not_there)
{
	expect(&(struct event){ .kind = EVENT_SERVER_STOPPED },
	       "{\"event\":\"server.stopped\",\"time\":\"T\"}\n");
}

Test(event, the_server_is_ready)
{
	expect(&(struct event){ .kind = EVENT_SERVER_READY, .url = "http://127.0.0.1:8000", .n_deployments = 2, .took_ns = 48500000 },
	       "{\"event\":\"server.ready\",\"time\":\"T\",\"url\":\"http://127.0.0.1:8000\",\"deployments\":2,\"serving\":0,\"took_ms\":48.5}\n");
}

Test(event, a_save_tells_its_stages)
{
	const struct event_stage stages[] = { { "settle", 10100000 }, { "gcc", 78100000 }, { "swap", 200000 } };

	expect(&(struct event){ .kind = EVENT_SAVE_DONE, .deployment = "matmul", .generation = 8, .build = 12,
				.outcome = "swapped", .from = 7, .stages = stages, .n_stages = 3,
				.took_ns = 94000000 },
	       "{\"event\":\"save.done\",\"time\":\"T\",\"deployment\":\"matmul\",\"generation\":8,\"build\":12,"
	       "\"outcome\":\"swapped\",\"from\":7,\"stages\":[{\"name\":\"settle\",\"ms\":10.1},"
	       "{\"name\":\"gcc\",\"ms\":78.1},{\"name\":\"swap\",\"ms\":0.2}],\"took_ms\":94}\n");
}

Test(event, a_save_tells_which_loops_are_vectorised_now_or_no_longer)
{
	const struct loop_change loops[] = { { "/m.c", 19, 25, false, "control flow in loop", 0, 0 },
					     { "/m.c", 30, 3, true, NULL, 32, 0 } };

	expect(&(struct event){ .kind = EVENT_LOOPS_CHANGED, .deployment = "m", .generation = 2, .from = 1, .loops = loops,
				.n_loops = 2 },
	       "{\"event\":\"loops.changed\",\"time\":\"T\",\"deployment\":\"m\",\"generation\":2,\"from\":1,"
	       "\"loops\":[{\"file\":\"/m.c\",\"line\":19,\"column\":25,\"vectorized\":false,"
	       "\"reason\":\"control flow in loop\"},"
	       "{\"file\":\"/m.c\",\"line\":30,\"column\":3,\"vectorized\":true,\"bytes\":32}]}\n");
}

Test(event, a_save_tells_that_its_code_is_identical)
{
	expect(&(struct event){ .kind = EVENT_SAVE_DONE, .deployment = "matmul", .generation = 8, .outcome = "swapped",
				.from = 7, .identical = true },
	       "{\"event\":\"save.done\",\"time\":\"T\",\"deployment\":\"matmul\",\"generation\":8,"
	       "\"outcome\":\"swapped\",\"from\":7,\"identical\":true,\"stages\":[]}\n");
}

Test(event, a_save_without_stages_has_none)
{
	expect(&(struct event){ .kind = EVENT_SAVE_DONE, .deployment = "m", .build = 1, .outcome = "unchanged" },
	       "{\"event\":\"save.done\",\"time\":\"T\",\"deployment\":\"m\",\"build\":1,\"outcome\":\"unchanged\","
	       "\"stages\":[]}\n");
}

Test(event, a_failed_build_tells_what_the_compiler_said)
{
	char file[] = "/p/m.c", error[] = "error", note[] = "note";
	char first[] = "expected ';'", second[] = "no \"file\"";
	const struct diagnostic diagnostics[] = {
		{ .file = file, .line = 3, .column = 5, .severity = error, .message = first },
		{ .severity = note, .message = second },
	};

	expect(&(struct event){ .kind = EVENT_BUILD_FAILED, .deployment = "m", .reason = "1 error",
				.text = "m.c:3\n", .diagnostics = diagnostics, .n_diagnostics = 2 },
	       "{\"event\":\"build.failed\",\"time\":\"T\",\"deployment\":\"m\",\"reason\":\"1 error\","
	       "\"text\":\"m.c:3\\n\",\"diagnostics\":[{\"file\":\"/p/m.c\",\"line\":3,\"column\":5,"
	       "\"severity\":\"error\",\"message\":\"expected ';'\"},"
	       "{\"severity\":\"note\",\"message\":\"no \\\"file\\\"\"}]}\n");
}

Test(event, a_swap_tells_what_became_of_the_old_image)
{
	expect(&(struct event){ .kind = EVENT_SWAP_DONE, .deployment = "m", .generation = 2, .from = 1,
				.cached = true },
	       "{\"event\":\"swap.done\",\"time\":\"T\",\"deployment\":\"m\",\"generation\":2,\"from\":1,"
	       "\"cached\":true}\n");
}

Test(event, a_worker_has_a_pid)
{
	expect(&(struct event){ .kind = EVENT_WORKER_DIED, .deployment = "m", .pid = 42, .reason = "SIGSEGV" },
	       "{\"event\":\"worker.died\",\"time\":\"T\",\"deployment\":\"m\",\"pid\":42,\"reason\":\"SIGSEGV\"}\n");
}

Test(event, a_log_line_can_hold_anything)
{
	expect(&(struct event){ .kind = EVENT_LOG, .deployment = "m", .level = "info", .text = "\033[1m\xff\n" },
	       "{\"event\":\"log\",\"time\":\"T\",\"deployment\":\"m\",\"level\":\"info\","
	       "\"text\":\"\\u001b[1m\xef\xbf\xbd\\n\"}\n");
}

Test(event, every_kind_has_a_name)
{
#define HAS_NAME(kind, name) cr_expect_str_eq(event_name(EVENT_##kind), name);
	EVENTS(HAS_NAME)
}

/* Sinks that come, go and speak while an event is on its way */

static int calls[3];

static void count_first(void *context, const struct event *e, const char *json, size_t size)
{
	(void)e, (void)json, (void)size;
	++*(int *)context;
}

Test(event, a_verdict_has_its_figures_or_none)
{
	struct deploy_verdict v = {
		.verdict = { .kind = VERDICT_FASTER, .ratio = 1.25, .low = 1.125, .high = 1.5, .control = 0.25, .n_rounds = 9,
			     .n_lanes = 8, .n_courses = 1,
			     .courses = { { .ratio = 1.25, .low = 1.125, .high = 1.5, .old_ns = 2500, .new_ns = 2000 } } },
		.inputs = { "X FP32[1]" },
		.recordings = { 5 },
	};

	expect(&(struct event){ .kind = EVENT_VERDICT, .deployment = "a", .generation = 8, .from = 7, .verdict = &v },
	       "{\"event\":\"verdict\",\"time\":\"T\",\"deployment\":\"a\",\"generation\":8,\"from\":7,"
	       "\"verdict\":\"FASTER\",\"ratio\":1.25,\"interval\":[1.125,1.5],\"control\":0.25,\"rounds\":9,"
	       "\"disturbed\":0,\"mappings\":8,\"inputs\":[{\"recording\":5,\"input\":\"X FP32[1]\",\"ratio\":1.25,"
	       "\"interval\":[1.125,1.5],\"before_us\":2.5,\"after_us\":2}]}\n");
	v = (struct deploy_verdict){ .reason = "r" };
	expect(&(struct event){ .kind = EVENT_VERDICT, .deployment = "a", .generation = 8, .from = 7, .verdict = &v,
				.reason = v.reason },
	       "{\"event\":\"verdict\",\"time\":\"T\",\"deployment\":\"a\",\"generation\":8,\"from\":7,"
	       "\"reason\":\"r\",\"verdict\":\"UNSURE\"}\n");
}

static void leave(void *context, const struct event *e, const char *json, size_t size)
{
	(void)e, (void)json, (void)size;
	++*(int *)context;
	events_remove_sink(events, leave, context);
	events_remove_sink(events, count_first, &calls[2]);
	events_add_sink(events, count_first, &calls[0]);
}

Test(event, sinks_may_be_removed_and_added_by_a_sink)
{
	events_add_sink(events, leave, &calls[1]);
	events_add_sink(events, count_first, &calls[2]);
	events_emit(events, &(struct event){ .kind = EVENT_NOTICE });
	cr_expect_eq(calls[0], 0, "a new sink must wait for the next event");
	cr_expect_eq(calls[1], 1);
	cr_expect_eq(calls[2], 0, "a removed sink must not be called");
	events_emit(events, &(struct event){ .kind = EVENT_NOTICE });
	cr_expect_eq(calls[0], 1);
	cr_expect_eq(calls[1], 1);
}

static void answer(void *context, const struct event *e, const char *json, size_t size)
{
	(void)context, (void)json, (void)size;
	if (e->kind == EVENT_NOTICE)
		events_emit(events, &(struct event){ .kind = EVENT_SERVER_STOPPED });
}

Test(event, a_sink_may_emit)
{
	events_remove_sink(events, keep, NULL);
	events_add_sink(events, answer, NULL);
	events_add_sink(events, keep, NULL);
	expect(&(struct event){ .kind = EVENT_NOTICE, .reason = "a" },
	       "{\"event\":\"server.stopped\",\"time\":\"T\"}\n"
	       "{\"event\":\"notice\",\"time\":\"T\",\"reason\":\"a\"}\n");
}
