/* SPDX-License-Identifier: MIT */
#include "serve/json_sink.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "serve/event.h"
#include "serve/output.h"

struct json_sink {
	struct events *events; /* borrowed */
	struct output *output;
};

static void on_event(void *context, const struct event *e, const char *json, size_t size)
{
	struct json_sink *s = context;
	uint64_t dropped = output_take_dropped(s->output);

	(void)e;
	output_write(s->output, json, size);
	if (dropped) {
		_cleanup_free_ char *reason = xasprintf(
			"%" PRIu64 " events were not printed: stdout was not read", dropped);

		events_emit(s->events, &(struct event){ .kind = EVENT_NOTICE, .reason = reason });
	}
}

struct json_sink *json_sink_new(struct events *events)
{
	struct json_sink *s = xcalloc(1, sizeof(*s));

	s->events = events;
	s->output = output_new(STDOUT_FILENO);
	events_add_sink(events, on_event, s);
	return s;
}

struct json_sink *json_sink_free(struct json_sink *s)
{
	if (!s)
		return NULL;
	events_remove_sink(s->events, on_event, s);
	output_free(s->output);
	free(s);
	return NULL;
}
