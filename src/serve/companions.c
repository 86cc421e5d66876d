/* SPDX-License-Identifier: MIT */
#include "serve/companions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "deploy/companion.h"
#include "deploy/deploy.h"
#include "ingress/ingress.h"
#include "serve/generation.h"
#include "serve/plugin.h"
#include "serve/reply.h"

/* Somebody who waits for it to serve. */
struct asker {
	LIST_ENTRY(asker) entry;
	struct exchange *exchange;
	enum companion_kind kind;
	enum companion_kind replaced; /* what ran before; 0: nothing, or one of the same kind */
	double share;
	struct generation_search *search; /* while it is looked for; then: */
	struct deployment *deployment;    /* has not ended: companion_end() would have told */
};

struct companions {
	struct plugins *plugins;
	LIST_HEAD(, asker) askers;
};

static void put_side(struct buffer *json, const char *key, uint32_t generation, const struct companion_side *s)
{
	json_object(json, key);
	json_uint(json, "generation", generation);
	json_uint(json, "requests", s->requests);
	json_uint(json, "failures", s->failures);
	json_uint(json, "calls", s->calls);
	if (s->median_ns)
		json_uint(json, "compute_ns_median", s->median_ns);
	json_object_end(json);
}

static void put_verdict(struct buffer *json, const struct verdict *v)
{
	json_string(json, "verdict", verdict_name(v->kind));
	if (!v->n_courses)
		return;
	json_double(json, "ratio", v->ratio);
	json_array(json, "interval");
	json_double(json, NULL, v->low);
	json_double(json, NULL, v->high);
	json_array_end(json);
}

static void put_shadow(struct buffer *json, const struct companion_facts *f)
{
	json_uint(json, "compared", f->compared);
	json_uint(json, "differing", f->differing);
	json_uint(json, "dropped", f->dropped);
	json_bool(json, "values", f->values);
}

void companion_json(const struct companion_facts *f, struct buffer *json)
{
	json_string(json, "kind", companion_name(f->kind));
	json_double(json, "share", f->share);
	json_array(json, "pids");
	for (unsigned i = 0; i < f->n_pids; i++)
		json_int(json, NULL, f->pids[i]);
	json_array_end(json);
	json_uint(json, "queued", f->waiting);
	json_uint(json, "in_flight", f->in_flight);
	if (f->judged)
		put_verdict(json, &f->verdict);
	if (f->kind == COMPANION_SHADOW)
		put_shadow(json, f);
	else
		json_uint(json, "diverted", f->diverted);
	put_side(json, "serving", f->serving_generation, &f->serving);
	put_side(json, "beside", f->generation, &f->beside);
}

static void answer_facts(struct exchange *x, const char *name, const struct companion_facts *facts, bool ended,
			 enum companion_kind replaced)
{
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;

	json_object(&json, NULL);
	json_string(&json, "deployment", name);
	if (ended)
		json_bool(&json, "ended", true);
	if (replaced)
		json_string(&json, "replaced", companion_name(replaced));
	if (facts->kind)
		companion_json(facts, &json);
	json_object_end(&json);
	reply_json(x, 200, &json);
}

/* Asking */

static void asker_free(struct asker *a)
{
	LIST_REMOVE(a, entry);
	generation_cancel(a->search);
	free(a);
}

static void on_gone(void *context)
{
	struct asker *a = context;

	if (a->deployment)
		companion_forget(a->deployment, a);
	asker_free(a);
}

static void on_started(void *context, int error, const char *sentence)
{
	struct asker *a = context;
	struct companion_facts facts;

	if (error) {
		reply_refuse(a->exchange, 409, sentence);
	} else {
		companion_get(a->deployment, &facts);
		answer_facts(a->exchange, exchange_query(a->exchange, "deployment"), &facts, false, a->replaced);
	}
	asker_free(a);
}

static void start(struct asker *a, struct plugin *p, const struct rollout *r)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct companion_facts before;

	companion_get(p->deployment, &before);
	a->replaced = before.kind == a->kind ? COMPANION_NONE : before.kind;
	a->deployment = p->deployment;
	if (companion_start(p->deployment, a->kind, a->share, r, on_started, a, &why) == 0)
		return;
	reply_refuse(a->exchange, 409, buffer_text(&why));
	asker_free(a);
}

static void on_found(void *context, const struct generation *g, const char *error)
{
	struct asker *a = context;

	a->search = NULL;
	if (g) {
		start(a, g->plugin, &g->rollout);
		return;
	}
	reply_refuse(a->exchange, 409, error);
	asker_free(a);
}

/* What serves and what served before is at hand, even where there is no history. */
static void look(struct companions *c, struct asker *a, struct plugin *p, uint32_t generation)
{
	struct rollout r;

	LIST_INSERT_HEAD(&c->askers, a, entry);
	exchange_defer(a->exchange, on_gone, a);
	if (companion_find(p->deployment, generation, &r))
		start(a, p, &r);
	else
		a->search = generation_find(c->plugins, p->name, generation, on_found, a);
}

/* 0: it isn't a number. */
static uint32_t number_of(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	return *text >= '0' && *text <= '9' && !*end && n <= UINT32_MAX ? (uint32_t)n : 0;
}

/* Of the requests; negative: it is none. */
static double share_of(const char *text)
{
	char *end;
	double share = text ? strtod(text, &end) : 1;

	return !text || (*text && !*end && share > 0 && share <= 1) ? share : -1;
}

static void start_asked(struct companions *c, struct exchange *x, struct plugin *p, enum companion_kind kind,
			const char *generation)
{
	double share = share_of(exchange_query(x, "share"));
	struct asker *a;

	if (share < 0) {
		reply_refuse(x, 400, "the share is a number above 0 and not above 1, such as 0.1");
	} else if (!number_of(generation)) {
		reply_refuse(x, 400, "the generation is a number, or 'off'");
	} else {
		a = xcalloc(1, sizeof(*a));
		*a = (struct asker){ .exchange = x, .kind = kind, .share = share };
		look(c, a, p, number_of(generation));
	}
}

static void end_asked(struct exchange *x, struct plugin *p, enum companion_kind kind)
{
	_cleanup_free_ char *sentence = xasprintf("%s has no %s", p->name, companion_name(kind));
	struct companion_facts facts;

	companion_get(p->deployment, &facts);
	if (facts.kind != kind) {
		reply_refuse(x, 409, sentence);
		return;
	}
	companion_end(p->deployment, "it was asked to");
	answer_facts(x, p->name, &facts, true, COMPANION_NONE);
}

static void on_asked(struct companions *c, struct exchange *x, enum companion_kind kind)
{
	const char *name = exchange_query(x, "deployment"), *generation = exchange_query(x, "generation");
	struct plugin *p = name ? plugins_find(c->plugins, name) : NULL;

	if (!name || !generation)
		reply_refuse(x, 400, "which deployment, which generation? Say ?deployment=NAME&generation=N, or generation=off");
	else if (!p)
		reply_refuse(x, 404, "there is no deployment of that name");
	else if (strcmp(generation, "off") == 0)
		end_asked(x, p, kind);
	else
		start_asked(c, x, p, kind, generation);
}

void companions_on_canary(void *context, struct exchange *x)
{
	on_asked(context, x, COMPANION_CANARY);
}

void companions_on_shadow(void *context, struct exchange *x)
{
	on_asked(context, x, COMPANION_SHADOW);
}

/* All of them */

struct companions *companions_new(struct plugins *plugins)
{
	struct companions *c = xcalloc(1, sizeof(*c));

	c->plugins = plugins;
	LIST_INIT(&c->askers);
	return c;
}

void companions_stop(struct companions *c)
{
	struct asker *a;

	while ((a = LIST_FIRST(&c->askers))) {
		if (a->deployment)
			companion_forget(a->deployment, a);
		reply_refuse(a->exchange, 503, "the server is stopping");
		asker_free(a);
	}
}

struct companions *companions_free(struct companions *c)
{
	free(c);
	return NULL;
}
