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

/* A line, but for its number, which its place decides. */
struct entry {
	char *deployment, *text, *reason;
	bool good;
	size_t at; /* when it came */
};

struct tap_sink {
	struct events *events; /* borrowed */
	struct output *output;
	bool strict;
	char *bail;
	struct entry *entries;
	size_t n;
};

/* @skip: why it isn't tried; NULL: it is. */
static void add(struct tap_sink *s, bool good, const char *deployment, const char *what, const char *skip, const char *reason)
{
	struct buffer text = BUFFER_NULL;

	style_sentence(&text, deployment);
	buffer_puts(&text, ": ");
	style_sentence(&text, what);
	if (skip) {
		buffer_puts(&text, " # SKIP ");
		style_sentence(&text, skip);
	}
	s->entries = xrealloc(s->entries, (s->n + 1) * sizeof(*s->entries));
	s->entries[s->n] = (struct entry){ .deployment = xstrdup(deployment), .text = buffer_steal(&text), .good = good,
					   .reason = reason && reason[0] ? xstrdup(reason) : NULL, .at = s->n };
	s->n++;
}

static bool is_told(const struct tap_sink *s, const char *deployment)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->entries[i].deployment, deployment) == 0)
			return true;
	return false;
}

static void on_case(struct tap_sink *s, const struct event *e)
{
	bool good = strcmp(e->outcome, "agrees") == 0 || strcmp(e->outcome, "uncompared") == 0;
	bool foreign = strcmp(e->outcome, "foreign") == 0;

	add(s, good, e->deployment, e->path, NULL, foreign ? "it is for another signature than the deployment has" : e->reason);
}

static void on_save(struct tap_sink *s, const struct event *e)
{
	bool good = strcmp(e->outcome, "swapped") == 0;

	if (is_told(s, e->deployment))
		return;
	if (good)
		add(s, true, e->deployment, "builds and loads", "there are no golden cases", NULL);
	else if (e->no_device && !s->strict)
		add(s, true, e->deployment, "builds and loads", e->reason ? e->reason : "there is no GPU", NULL);
	else
		add(s, false, e->deployment, "builds and loads", NULL, e->reason);
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

struct tap_sink *tap_sink_new(struct events *events, bool strict)
{
	static const char version[] = "TAP version 13\n";
	struct tap_sink *s = xcalloc(1, sizeof(*s));

	s->events = events;
	s->strict = strict;
	s->output = output_new(STDOUT_FILENO);
	output_write(s->output, version, sizeof(version) - 1);
	events_add_sink(events, on_event, s);
	return s;
}

void tap_sink_bail(struct tap_sink *s, const char *why)
{
	if (s && !s->bail)
		s->bail = xstrdup(why);
}

static int by_name(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->deployment, y->deployment);

	return order ? order : (x->at > y->at) - (x->at < y->at);
}

static void put_entry(const struct entry *e, size_t number, struct buffer *b)
{
	buffer_printf(b, "%s %zu - %s\n", e->good ? "ok" : "not ok", number, e->text);
	if (!e->reason)
		return;
	buffer_puts(b, "# ");
	style_sentence(b, e->reason);
	buffer_putc(b, '\n');
}

static void put_end(const struct tap_sink *s, struct buffer *b)
{
	if (s->bail) {
		buffer_puts(b, "Bail out! ");
		style_sentence(b, s->bail);
		buffer_putc(b, '\n');
	} else {
		buffer_printf(b, "1..%zu\n", s->n);
	}
}

struct tap_sink *tap_sink_free(struct tap_sink *s)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	if (!s)
		return NULL;
	events_remove_sink(s->events, on_event, s);
	if (s->n)
		qsort(s->entries, s->n, sizeof(*s->entries), by_name);
	for (size_t i = 0; i < s->n; i++)
		put_entry(&s->entries[i], i + 1, &text);
	put_end(s, &text);
	output_write(s->output, text.data, text.size);
	output_free(s->output);
	while (s->n) {
		struct entry *e = &s->entries[--s->n];

		free(e->deployment);
		free(e->text);
		free(e->reason);
	}
	free(s->entries);
	free(s->bail);
	free(s);
	return NULL;
}
