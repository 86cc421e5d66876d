/* SPDX-License-Identifier: MIT */
#include "serve/written.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "history/history.h"
#include "ingress/ingress.h"
#include "serve/plugin.h"
#include "serve/reply.h"

struct asker {
	LIST_ENTRY(asker) entry;
	struct exchange *exchange;
	struct history_request *request;
};

struct written {
	struct plugins *plugins;
	LIST_HEAD(, asker) askers;
};

static void asker_free(struct asker *a)
{
	LIST_REMOVE(a, entry);
	history_cancel(a->request);
	free(a);
}

static void answer(struct asker *a, int status, const char *error)
{
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;

	json_object(&json, NULL);
	json_bool(&json, "written", !error);
	if (error)
		json_string(&json, "error", error);
	json_object_end(&json);
	reply_json(a->exchange, status, &json);
	asker_free(a);
}

static void on_answer(void *context, const struct history_answer *h)
{
	struct asker *a = context;

	a->request = NULL;
	answer(a, 200, h->error);
}

static void on_gone(void *context)
{
	asker_free(context);
}

void written_on_asked(void *context, struct exchange *x)
{
	struct written *w = context;
	struct asker *a = xcalloc(1, sizeof(*a));

	a->exchange = x;
	LIST_INSERT_HEAD(&w->askers, a, entry);
	exchange_defer(x, on_gone, a);
	a->request = history_find(w->plugins->history, "", 0, 0, on_answer, a);
}

struct written *written_new(struct plugins *plugins)
{
	struct written *w = xcalloc(1, sizeof(*w));

	w->plugins = plugins;
	LIST_INIT(&w->askers);
	return w;
}

void written_stop(struct written *w)
{
	while (!LIST_EMPTY(&w->askers))
		answer(LIST_FIRST(&w->askers), 503, "the server is stopping");
}

struct written *written_free(struct written *w)
{
	free(w);
	return NULL;
}
