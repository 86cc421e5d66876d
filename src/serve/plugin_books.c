/* SPDX-License-Identifier: MIT */

/*
 * What came to serve is written down later, for swaps can't wait for it. Only what somebody relies
 * on is written at once: that a number is taken, before a client may see it, and a rollback, before
 * it is answered.
 */

#include "serve/plugin_books.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "deploy/deploy.h"
#include "serve/event.h"
#include "serve/plugin.h"
#include "serve/record.h"
#include "serve/save.h"
#include "serve/verdict_text.h"

void plugin_keep(struct plugin *p)
{
	struct deployment_stats s;

	deployment_get_stats(p->deployment, &s);
	if (s.sanitizer)
		return;
	p->kept = (struct record){ .generation = p->generation, .source = p->code.source,
				    .image = p->code.image, .device = p->code.device };
}

/* What was told of its speed was of a generation that doesn't serve now. */
static void forget_verdict(struct plugin *p)
{
	free(p->verdict);
	p->verdict = NULL;
}

void plugin_serves(struct plugin *p, uint32_t generation, const struct plugin_code *code,
		   struct weights_set *weights)
{
	p->generation = generation;
	if (generation > p->last_generation)
		p->last_generation = generation;
	p->code_before = p->code;
	p->code = *code;
	plugin_weights_serve(p, weights);
	plugin_keep(p);
	forget_verdict(p);
}

void plugins_fell_back(struct plugins *ps, const char *name, uint32_t from, uint32_t to, const char *why)
{
	struct plugin *p = plugins_find(ps, name);

	if (!p)
		return;
	p->crashed = p->code.source;
	p->code = p->code_before;
	figures_fini(&p->kernels);
	p->generation = to;
	plugin_keep(p);
	forget_verdict(p);
	p->record_due = true;
	p->outcome = "crashed";
	free(p->reason);
	p->reason = xasprintf("generation %u %s", from, why);
	deployment_set_stale(p->deployment, "crashed");
	events_emit(ps->events, &(struct event){ .kind = EVENT_DEPLOYMENT_FELL_BACK, .deployment = name,
						 .generation = to, .from = from, .reason = why });
	ps->settled(ps->context, p);
}

void plugins_judged(struct plugins *ps, const struct deploy_verdict *v)
{
	struct plugin *p = plugins_find(ps, v->name);
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;

	if (!p)
		return;
	json_object(&json, NULL);
	json_uint(&json, "from", v->from);
	verdict_json(v, &json);
	json_object_end(&json);
	free(p->verdict);
	p->verdict = buffer_steal(&json);
	events_emit(ps->events, &(struct event){ .kind = EVENT_VERDICT, .deployment = v->name,
						 .generation = v->generation, .from = v->from, .verdict = v,
						 .reason = v->reason, .took_ns = v->took_ns });
}

void plugin_write_record(struct plugin *p)
{
	struct record record = p->kept;
	const struct plugins *ps = p->plugins;
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;
	int r;

	record.coming = (struct hash){ .high = 0 };
	record.last = p->last_generation + save_count_rolling(p, &record.coming);
	record.crashed = p->crashed;
	record.aside = p->aside;
	r = ps->keep_records ? record_write(ps->state_dir, p->name, &record) : 0;
	p->record_due = false;
	if (r == 0)
		return;
	buffer_printf(&sentence, "cannot keep its generation's number in %s: %s; after a restart it may be given again",
		      ps->state_dir, strerror(-r));
	events_emit(ps->events, &(struct event){ .kind = EVENT_NOTICE,
						 .deployment = p->name,
						 .generation = p->generation,
						 .path = p->path,
						 .reason = sentence.data });
}

void plugins_write_records(struct plugins *ps)
{
	struct plugin *p;

	LIST_FOREACH(p, &ps->list, entry)
		if (p->record_due)
			plugin_write_record(p);
}
