/* SPDX-License-Identifier: MIT */
#include "serve/tap_sink.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "serve/event.h"
#include "serve/output.h"
#include "serve/style.h"

struct tap_sink {
	struct events *events; /* borrowed */
	struct output *output;
	unsigned n;
	char **told; /* deployments of which a case was told that isn't ok, or any at all */
	size_t n_told;
};

static void put_line(struct tap_sink *s, bool good, const char *deployment, const char *what, const char *directive,
		     const char *reason)
{
	_cleanup_buffer_ struct buffer line = BUFFER_NULL;

	buffer_printf(&line, "%s %u - ", good ? "ok" : "not ok", ++s->n);
	style_sentence(&line, deployment);
	buffer_puts(&line, ": ");
	style_sentence(&line, what);
	buffer_printf(&line, "%s\n", directive);
	if (reason && reason[0]) {
		buffer_puts(&line, "# ");
		style_sentence(&line, reason);
		buffer_putc(&line, '\n');
	}
	output_write(s->output, line.data, line.size);
}

static void remember(struct tap_sink *s, const char *deployment)
{
	s->told = xrealloc(s->told, (s->n_told + 1) * sizeof(*s->told));
	s->told[s->n_told++] = xstrdup(deployment);
}

static bool is_told(const struct tap_sink *s, const char *deployment)
{
	for (size_t i = 0; i < s->n_told; i++)
		if (strcmp(s->told[i], deployment) == 0)
			return true;
	return false;
}

static void on_case(struct tap_sink *s, const struct event *e)
{
	bool good = strcmp(e->outcome, "agrees") == 0 || strcmp(e->outcome, "uncompared") == 0;
	bool foreign = strcmp(e->outcome, "foreign") == 0;

	put_line(s, good, e->deployment, e->path, "", foreign ? "it is for another signature than the deployment has" : e->reason);
	remember(s, e->deployment);
}

static void on_save(struct tap_sink *s, const struct event *e)
{
	bool good = strcmp(e->outcome, "swapped") == 0;

	if (good && !is_told(s, e->deployment))
		put_line(s, true, e->deployment, "builds and loads", " # SKIP there are no golden cases", NULL);
	else if (!good && !is_told(s, e->deployment))
		put_line(s, false, e->deployment, "builds and loads", "", e->reason);
}

static void on_event(void *context, const struct event *e, const char *json, size_t size)
{
	struct tap_sink *s = context;

	(void)json, (void)size;
	if (e->kind == EVENT_GOLDEN_CASE)
		on_case(s, e);
	else if (e->kind == EVENT_SAVE_DONE)
		on_save(s, e);
}

struct tap_sink *tap_sink_new(struct events *events)
{
	static const char version[] = "TAP version 13\n";
	struct tap_sink *s = xcalloc(1, sizeof(*s));

	s->events = events;
	s->output = output_new(STDOUT_FILENO);
	output_write(s->output, version, sizeof(version) - 1);
	events_add_sink(events, on_event, s);
	return s;
}

struct tap_sink *tap_sink_free(struct tap_sink *s)
{
	_cleanup_buffer_ struct buffer plan = BUFFER_NULL;

	if (!s)
		return NULL;
	events_remove_sink(s->events, on_event, s);
	buffer_printf(&plan, "1..%u\n", s->n);
	output_write(s->output, plan.data, plan.size);
	output_free(s->output);
	while (s->n_told)
		free(s->told[--s->n_told]);
	free(s->told);
	free(s);
	return NULL;
}
