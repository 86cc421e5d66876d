/* SPDX-License-Identifier: MIT */

/*
 * A sink may remove itself or another while an event is on its way (a slow client of
 * /-/events is dropped from inside its own sink), may add one, and may emit: so sinks are
 * only marked as removed until no emit is under way, one that was added meanwhile waits
 * for the next event, and every emit has its own text.
 */

#include "serve/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "build/build.h"
#include "build/loop_change.h"
#include "deploy/companion.h"
#include "serve/companions.h"
#include "serve/proof_text.h"
#include "serve/verdict_text.h"

struct sink {
	event_sink_fn fn; /* NULL: removed */
	void *context;
};

struct events {
	struct sink *sinks;
	size_t n_sinks;
	unsigned emitting; /* emits under way, one inside the other */
};

struct events *events_new(void)
{
	return xcalloc(1, sizeof(struct events));
}

struct events *events_free(struct events *e)
{
	if (e)
		free(e->sinks);
	free(e);
	return NULL;
}

void events_add_sink(struct events *e, event_sink_fn sink, void *context)
{
	e->sinks = xrealloc(e->sinks, (e->n_sinks + 1) * sizeof(*e->sinks));
	e->sinks[e->n_sinks++] = (struct sink){ .fn = sink, .context = context };
}

static void forget_removed(struct events *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < e->n_sinks; i++)
		if (e->sinks[i].fn)
			e->sinks[kept++] = e->sinks[i];
	e->n_sinks = kept;
}

void events_remove_sink(struct events *e, event_sink_fn sink, void *context)
{
	for (size_t i = 0; i < e->n_sinks; i++)
		if (e->sinks[i].fn == sink && e->sinks[i].context == context)
			e->sinks[i].fn = NULL;
	if (!e->emitting)
		forget_removed(e);
}

static void put_time(struct buffer *b)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	clock_put_utc(&text, clock_wall_ns());
	json_string(b, "time", text.data);
}

static void put_string(struct buffer *b, const char *key, const char *value)
{
	if (value)
		json_string(b, key, value);
}

static void put_number(struct buffer *b, const char *key, uint64_t value)
{
	if (value)
		json_uint(b, key, value);
}

static void put_flag(struct buffer *b, const char *key, bool value)
{
	if (value)
		json_bool(b, key, value);
}

static void put_stages(struct buffer *b, const struct event *e)
{
	if (!e->n_stages && e->kind != EVENT_SAVE_DONE)
		return;
	json_array(b, "stages");
	for (size_t i = 0; i < e->n_stages; i++) {
		json_object(b, NULL);
		json_string(b, "name", e->stages[i].name);
		json_double(b, "ms", (double)e->stages[i].ns / NS_PER_MS);
		json_object_end(b);
	}
	json_array_end(b);
}

static void put_diagnostics(struct buffer *b, const struct event *e)
{
	if (!e->n_diagnostics)
		return;
	json_array(b, "diagnostics");
	for (size_t i = 0; i < e->n_diagnostics; i++) {
		const struct diagnostic *d = &e->diagnostics[i];

		json_object(b, NULL);
		put_string(b, "file", d->file);
		put_number(b, "line", d->line);
		put_number(b, "column", d->column);
		json_string(b, "severity", d->severity);
		json_string(b, "message", d->message);
		json_object_end(b);
	}
	json_array_end(b);
}

static void put_figures(struct buffer *b, const struct kernel_figures *k)
{
	json_uint(b, "registers", k->registers);
	json_uint(b, "spilled", k->spilled);
	json_uint(b, "stack", k->stack);
	json_uint(b, "shared", k->shared);
}

const struct kernel_figures *event_kernel_before(const struct event *e, const char *name)
{
	for (size_t i = 0; i < e->n_kernels_before; i++)
		if (strcmp(e->kernels_before[i].name, name) == 0)
			return &e->kernels_before[i];
	return NULL;
}

static void put_kernels(struct buffer *b, const struct event *e)
{
	if (!e->n_kernels)
		return;
	json_array(b, "kernels");
	for (size_t i = 0; i < e->n_kernels; i++) {
		const struct kernel_figures *before = event_kernel_before(e, e->kernels[i].name);

		json_object(b, NULL);
		json_string(b, "name", e->kernels[i].name);
		if (e->kernels[i].architecture[0])
			json_string(b, "architecture", e->kernels[i].architecture);
		put_figures(b, &e->kernels[i]);
		if (before) {
			json_object(b, "before");
			put_figures(b, before);
			json_object_end(b);
		}
		json_object_end(b);
	}
	json_array_end(b);
}

static void put_loops(struct buffer *b, const struct event *e)
{
	if (!e->n_loops)
		return;
	json_array(b, "loops");
	for (size_t i = 0; i < e->n_loops; i++) {
		const struct loop_change *l = &e->loops[i];

		json_object(b, NULL);
		json_string(b, "file", l->file);
		json_uint(b, "line", l->line);
		json_uint(b, "column", l->column);
		json_bool(b, "vectorized", l->vectorised);
		put_number(b, "bytes", l->bytes);
		put_number(b, "lanes", l->lanes);
		put_string(b, "reason", l->reason);
		json_object_end(b);
	}
	json_array_end(b);
}

static void put_frames(struct buffer *b, const struct event *e)
{
	if (!e->n_frames && e->kind != EVENT_CRASH_REPORT)
		return;
	json_array(b, "frames");
	for (size_t i = 0; i < e->n_frames; i++) {
		const struct event_frame *f = &e->frames[i];

		json_object(b, NULL);
		json_string(b, "function", f->function);
		json_string(b, "file", f->file);
		put_number(b, "line", f->line);
		json_string(b, "text", f->text);
		if (f->changed)
			json_bool(b, "changed", true);
		json_object_end(b);
	}
	json_array_end(b);
	if (e->found_late)
		json_bool(b, "found_late", true);
}

static void put_deployments(struct buffer *b, const struct event *e)
{
	if (e->kind != EVENT_SERVER_READY)
		return;
	json_uint(b, "deployments", e->n_deployments);
	json_uint(b, "serving", e->n_serving);
}

static void put_event(struct buffer *b, const struct event *e)
{
	json_object(b, NULL);
	json_string(b, "event", event_name(e->kind));
	put_time(b);
	put_string(b, "deployment", e->deployment);
	put_number(b, "generation", e->generation);
	put_number(b, "build", e->build);
	put_string(b, "outcome", e->outcome);
	put_string(b, "state", e->state);
	put_number(b, "from", e->from);
	put_flag(b, "cached", e->cached);
	put_string(b, "signature", e->signature);
	put_flag(b, "sanitized", e->sanitizer != NULL);
	put_string(b, "sanitizer", e->sanitizer);
	put_flag(b, "no_device", e->no_device);
	put_flag(b, "identical", e->identical);
	put_string(b, "url", e->url);
	put_string(b, "path", e->path);
	put_number(b, "pid", e->pid > 0 ? (uint64_t)e->pid : 0);
	put_string(b, "level", e->level);
	put_string(b, "reason", e->reason);
	put_string(b, "text", e->text);
	put_diagnostics(b, e);
	put_string(b, "signal", e->signal);
	put_string(b, "what", e->what);
	put_string(b, "call", e->call);
	put_frames(b, e);
	put_stages(b, e);
	put_kernels(b, e);
	put_loops(b, e);
	proof_json(b, e->proof);
	put_number(b, "count", e->count);
	if (e->verdict)
		verdict_json(e->verdict, b);
	if (e->companion)
		companion_json(e->companion, b);
	put_deployments(b, e);
	if (e->took_ns)
		json_double(b, "took_ms", (double)e->took_ns / NS_PER_MS);
	json_object_end(b);
	buffer_putc(b, '\n');
}

void events_emit(struct events *e, const struct event *event)
{
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;
	size_t n = e->n_sinks;

	put_event(&json, event);
	e->emitting++;
	for (size_t i = 0; i < n; i++) {
		struct sink sink = e->sinks[i]; /* a copy: the array may move */

		if (sink.fn)
			sink.fn(sink.context, event, json.data, json.size);
	}
	if (--e->emitting == 0)
		forget_removed(e);
}

const char *event_name(enum event_kind kind)
{
	static const char *const names[] = {
#define EVENT_NAME(kind, name) [EVENT_##kind] = name,
		EVENTS(EVENT_NAME)
#undef EVENT_NAME
	};

	return names[kind];
}
