/* SPDX-License-Identifier: MIT */
#include "serve/historian.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "history/entry.h"
#include "history/history.h"
#include "serve/event.h"

struct historian {
	struct events *events;
	struct history *history;
};

/* Log lines have files of their own; what else isn't kept says nothing that is not told by another. */
static bool is_kept(const struct event *e)
{
	switch (e->kind) {
	case EVENT_LOG:
	case EVENT_NOTICE:
	case EVENT_BUILD_STARTED:
	case EVENT_DEPLOYMENT_ADDED:
		return false;
	case EVENT_SAVE_DONE:
		return strcmp(e->outcome, "unchanged") != 0;
	default:
		return e->deployment != NULL;
	}
}

static void on_event(void *context, const struct event *e, const char *json, size_t size)
{
	struct historian *h = context;
	_cleanup_free_ char *text = NULL;

	if (!is_kept(e))
		return;
	text = xstrndup(json, size);
	text[strcspn(text, "\n")] = '\0'; /* the one at the end: JSON has no other */
	history_add(h->history, &(struct history_entry){ .at_ms = (int64_t)(clock_wall_ns() / NS_PER_MS),
							 .event = event_name(e->kind),
							 .deployment = e->deployment,
							 .generation = e->generation,
							 .from = e->from,
							 .build = e->build,
							 .outcome = e->outcome,
							 .reason = e->reason,
							 .took_ns = e->took_ns,
							 .json = text,
							 .built = e->built });
}

struct historian *historian_new(struct events *events, struct history *history)
{
	struct historian *h = xcalloc(1, sizeof(*h));

	h->events = events;
	h->history = history;
	events_add_sink(events, on_event, h);
	return h;
}

struct historian *historian_free(struct historian *h)
{
	if (!h)
		return NULL;
	events_remove_sink(h->events, on_event, h);
	free(h);
	return NULL;
}
