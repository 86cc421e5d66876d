/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "serve/event.h"
#include "serve/json_sink.h"
#include "serve/output.h"

#include "support.h"

Test(json_sink, prints_the_events_as_they_are)
{
	struct events *events = events_new();
	struct json_sink *s;
	struct buffer text;

	redirect();
	s = json_sink_new(events);
	events_emit(events, &(struct event){ .kind = EVENT_WATCH_OVERFLOW, .count = 2 });
	events_emit(events, &(struct event){ .kind = EVENT_SERVER_STOPPED });
	json_sink_free(s);
	events_free(events);
	text = read_all();
	cr_expect_eq(strstr(text.data, "{\"event\":\"watch.overflow\",\"time\":\""), text.data, "%s", text.data);
	cr_expect(strstr(text.data, ",\"count\":2}\n{\"event\":\"server.stopped\","), "%s", text.data);
	buffer_fini(&text);
}

/* Nobody reads, and the pipe is full after 64 KiB. */
Test(output, never_blocks_and_says_what_it_dropped)
{
	_cleanup_free_ char *line = xmalloc(1 << 20);
	struct output *o;
	uint64_t started;

	memset(line, 'x', (1 << 20) - 1);
	line[(1 << 20) - 1] = '\n';
	redirect();
	o = output_new(STDOUT_FILENO);
	started = clock_ns();
	for (int i = 0; i < 64; i++)
		output_write(o, line, 1 << 20);
	output_free(o);
	cr_expect_lt(clock_ns() - started, 10 * NS_PER_S);
}

Test(output, counts_what_it_dropped_and_goes_on)
{
	_cleanup_free_ char *big = xcalloc(1, OUTPUT_LIMIT + 1);
	struct output *o;
	struct buffer text;

	redirect();
	o = output_new(STDOUT_FILENO);
	output_write(o, big, OUTPUT_LIMIT + 1);
	cr_expect_eq(output_take_dropped(o), 1);
	cr_expect_eq(output_take_dropped(o), 0);
	output_write(o, "after\n", 6);
	output_free(o);
	text = read_all();
	cr_expect_str_eq(text.data, "after\n");
	buffer_fini(&text);
}

Test(output, a_reader_that_left_is_no_error)
{
	struct output *o;

	signal(SIGPIPE, SIG_DFL);
	redirect();
	close(ours);
	o = output_new(STDOUT_FILENO);
	for (int i = 0; i < 100; i++)
		output_write(o, "line\n", 5);
	cr_expect_null(output_free(o));
}

Test(output, a_descriptor_that_somebody_made_non_blocking_loses_nothing)
{
	_cleanup_free_ char *line = xmalloc(1 << 20);
	struct output *o;
	struct buffer text;

	memset(line, 'x', 1 << 20);
	redirect();
	fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
	o = output_new(STDOUT_FILENO);
	output_write(o, line, 1 << 20);
	text = (struct buffer)BUFFER_NULL;
	while (text.size < 1 << 20) {
		ssize_t n = read(ours, buffer_reserve(&text, 65536), 65536);

		cr_assert_gt(n, 0);
		buffer_grow(&text, (size_t)n);
	}
	output_free(o);
	cr_expect_eq(memcmp(text.data, line, 1 << 20), 0);
	buffer_fini(&text);
}
