/* SPDX-License-Identifier: MIT */

/*
 * The source on disk stays what it is, and is told to be stale: nothing of it is loaded again, also
 * not after a restart, until it changes. So a rollback holds for as long as its author needs to
 * think, and the next save is a save like any other.
 */

#include "serve/rollbacks.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "deploy/deploy.h"
#include "deploy/handle.h"
#include "ingress/ingress.h"
#include "serve/event.h"
#include "serve/generation.h"
#include "serve/plugin.h"
#include "serve/reply.h"
#include "weights/weights.h"

struct rollback {
	LIST_ENTRY(rollback) entry;
	struct plugins *plugins;
	char *name; /* of its deployment */
	struct exchange *exchange; /* NULL: who asked has gone */
	uint64_t since_ns;
	struct generation_search *search; /* while it is looked for; then: */
	struct plugin *plugin;
	struct plugin_code code;
	struct weights_set *weights;
};

struct rollbacks {
	struct plugins *plugins;
	LIST_HEAD(, rollback) list;
};

static void rollback_free(struct rollback *r)
{
	LIST_REMOVE(r, entry);
	generation_cancel(r->search);
	weights_set_unref(r->weights);
	free(r->name);
	free(r);
}

/* Answering */

static void answer(struct exchange *x, const struct plugin *p, uint32_t from, uint64_t took_ns)
{
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;

	json_object(&json, NULL);
	json_string(&json, "deployment", p->name);
	json_uint(&json, "generation", p->generation);
	json_uint(&json, "from", from);
	json_double(&json, "took_ms", (double)took_ns / NS_PER_MS);
	json_object_end(&json);
	reply_json(x, 200, &json);
}

static void fail(struct rollback *r, int status, const char *sentence)
{
	if (r->exchange)
		reply_refuse(r->exchange, status, sentence);
	rollback_free(r);
}

/* Whoever looks at the server's terminal may be somebody else than who asked. */
static void refuse(struct rollback *r, const char *sentence)
{
	_cleanup_free_ char *reason = xasprintf("not rolled back: %s", sentence);
	const struct plugin *p = plugins_find(r->plugins, r->name);

	events_emit(r->plugins->events, &(struct event){ .kind = EVENT_NOTICE, .deployment = r->name,
							 .generation = p ? p->generation : 0, .reason = reason });
	fail(r, 409, sentence);
}

static void on_gone(void *context)
{
	struct rollback *r = context;

	r->exchange = NULL; /* what was asked for goes on */
}

/* Rolling */

/* What lies on disk is what serves, if it was rolled forward. */
static void set_aside(struct plugin *p)
{
	bool is_newest = hash_equal(p->code.source, p->attempted);

	p->aside = is_newest ? (struct hash){ .high = 0 } : p->attempted;
	deployment_set_stale(p->deployment, is_newest ? NULL : "rolled-back");
}

static void tell(const struct plugin *p, enum event_kind kind, uint32_t from, uint64_t took_ns)
{
	events_emit(p->plugins->events, &(struct event){ .kind = kind,
							 .deployment = p->name,
							 .generation = p->generation,
							 .from = from,
							 .cached = kind == EVENT_SWAP_DONE,
							 .took_ns = took_ns });
}

static void on_rolled(void *context, const struct rollout_result *result)
{
	struct rollback *r = context;
	struct plugin *p = r->plugin;
	uint64_t took_ns = clock_ns() - r->since_ns;

	if (result->outcome != ROLLOUT_SWAPPED) {
		refuse(r, result->sentence);
		plugin_resume(p);
		return;
	}
	plugin_serves(p, result->generation, &r->code, r->weights);
	figures_fini(&p->kernels); /* nobody kept those of what serves again */
	set_aside(p);
	plugin_write_record(p); /* who is answered may rely on it, whatever becomes of us */
	tell(p, EVENT_SWAP_DONE, result->from, 0);
	if (result->state)
		events_emit(p->plugins->events, &(struct event){ .kind = EVENT_NOTICE, .deployment = p->name,
								 .generation = p->generation, .reason = result->state });
	tell(p, EVENT_DEPLOYMENT_ROLLED_BACK, result->from, took_ns);
	if (r->exchange)
		answer(r->exchange, p, result->from, took_ns);
	rollback_free(r);
	p->plugins->settled(p->plugins->context, p);
}

static void on_found(void *context, const struct generation *g, const char *error)
{
	struct rollback *r = context;
	_cleanup_free_ char *serves = g ? xasprintf("generation %" PRIu32 " is what serves", g->rollout.generation) : NULL;

	r->search = NULL;
	if (error || g->plugin->generation == g->rollout.generation) {
		refuse(r, error ? error : serves);
		return;
	}
	r->plugin = g->plugin;
	r->code = g->code;
	r->weights = weights_set_ref(g->weights);
	deployment_roll(g->plugin->deployment, &g->rollout, on_rolled, r);
}

/* Asking */

static bool read_number(const char *text, uint32_t *ret)
{
	char *end;
	unsigned long n = text ? strtoul(text, &end, 10) : 0;

	*ret = (uint32_t)n;
	return !text || (*text >= '0' && *text <= '9' && !*end && n > 0 && n <= UINT32_MAX);
}

void rollbacks_on_asked(void *context, struct exchange *x)
{
	struct rollbacks *all = context;
	const char *name = exchange_query(x, "deployment");
	struct rollback *r;
	uint32_t number;

	if (!name) {
		reply_refuse(x, 400, "which deployment? POST /-/rollback?deployment=NAME&generation=N");
	} else if (!read_number(exchange_query(x, "generation"), &number)) {
		reply_refuse(x, 400, "a generation is a number");
	} else if (!plugins_find(all->plugins, name)) {
		reply_refuse(x, 404, "there is no deployment of that name");
	} else {
		r = xcalloc(1, sizeof(*r));
		r->plugins = all->plugins;
		r->name = xstrdup(name);
		r->exchange = x;
		r->since_ns = clock_ns();
		LIST_INSERT_HEAD(&all->list, r, entry);
		exchange_defer(x, on_gone, r);
		r->search = generation_find(all->plugins, name, number, on_found, r);
	}
}

/* All of them */

struct rollbacks *rollbacks_new(struct plugins *plugins)
{
	struct rollbacks *r = xcalloc(1, sizeof(*r));

	r->plugins = plugins;
	LIST_INIT(&r->list);
	return r;
}

static void end_those_of(struct rollbacks *all, const struct plugin *p, int status, const char *sentence)
{
	struct rollback *r, *next;

	for (r = LIST_FIRST(&all->list); r; r = next) {
		next = LIST_NEXT(r, entry);
		if (!p || r->plugin == p)
			fail(r, status, sentence);
	}
}

void rollbacks_settled(struct rollbacks *r, const struct plugin *p)
{
	if (!p->deployment)
		end_those_of(r, p, 404, "the deployment was removed");
}

void rollbacks_stop(struct rollbacks *r)
{
	end_those_of(r, NULL, 503, "the server is stopping");
}

struct rollbacks *rollbacks_free(struct rollbacks *r)
{
	free(r);
	return NULL;
}
