/* SPDX-License-Identifier: MIT */
#include "serve/news.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "deploy/companion.h"
#include "serve/event.h"
#include "serve/log.h"
#include "serve/plugin.h"
#include "serve/proof_text.h"
#include "serve/recordings.h"
#include "serve/report.h"

static void on_line(void *context, const char *name, uint32_t generation, int level,
		    const char *text, size_t size)
{
	struct news *n = context;

	if (n->log)
		log_line(n->log, name, generation, level, text, size);
}

static void on_worker_died(void *context, const char *name, uint32_t generation, pid_t pid, const char *how)
{
	struct news *n = context;

	events_emit(n->events, &(struct event){ .kind = EVENT_WORKER_DIED, .deployment = name,
						.generation = generation, .pid = pid, .reason = how });
}

static void on_worker_replaced(void *context, const char *name, uint32_t generation, pid_t pid,
			       uint64_t took_ns)
{
	struct news *n = context;

	events_emit(n->events, &(struct event){ .kind = EVENT_WORKER_REPLACED, .deployment = name,
						.generation = generation, .pid = pid, .took_ns = took_ns });
}

static void on_swap_waits(void *context, const char *name, uint32_t generation, pid_t pid)
{
	struct news *n = context;
	_cleanup_free_ char *sentence = xasprintf(
		"generation %u is ready and waits: infer() has been running for 2 s in PID %d; request_timeout_s "
		"ends it", generation, (int)pid);

	events_emit(n->events, &(struct event){ .kind = EVENT_NOTICE, .deployment = name,
						.generation = generation, .reason = sentence });
}

static void on_replacing(void *context, const char *name, uint32_t generation, const char *because)
{
	struct news *n = context;
	_cleanup_free_ char *sentence = xasprintf("a fresh worker takes over: %s", because);

	events_emit(n->events, &(struct event){ .kind = EVENT_NOTICE, .deployment = name,
						.generation = generation, .reason = sentence });
}

static void on_unrecorded(void *context, const char *name, uint32_t generation, uint64_t bytes)
{
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;
	struct news *n = context;

	recordings_put_advice(bytes, &sentence);
	events_emit(n->events, &(struct event){ .kind = EVENT_NOTICE, .deployment = name,
						.generation = generation, .reason = sentence.data });
}

static void on_crashed(void *context, const struct deploy_crash *c)
{
	struct news *n = context;

	if (n->reports)
		reports_add(n->reports, c);
}

static void on_fell_back(void *context, const char *name, uint32_t from, uint32_t to, const char *why)
{
	struct news *n = context;

	plugins_fell_back(n->plugins, name, from, to, why);
}

static void on_judged(void *context, const struct deploy_verdict *v)
{
	struct news *n = context;

	plugins_judged(n->plugins, v);
}

static void on_companion(void *context, const char *name, const struct companion_facts *facts,
			 enum companion_news news, const char *reason)
{
	static const enum event_kind kinds[][4] = {
		[COMPANION_CANARY] = { EVENT_CANARY_STARTED, EVENT_CANARY_ENDED, EVENT_CANARY_VERDICT },
		[COMPANION_SHADOW] = { EVENT_SHADOW_STARTED, EVENT_SHADOW_ENDED, EVENT_SHADOW_VERDICT,
				       EVENT_SHADOW_DIFFERS },
	};
	struct news *n = context;

	events_emit(n->events, &(struct event){ .kind = kinds[facts->kind][news], .deployment = name,
						.generation = facts->generation, .reason = reason,
						.companion = facts });
}

static void on_golden_case(void *context, const char *name, const char *golden, unsigned outcome, const char *why)
{
	struct news *n = context;

	events_emit(n->events, &(struct event){ .kind = EVENT_GOLDEN_CASE, .deployment = name, .path = golden,
						.outcome = proof_outcome_name(outcome),
						.reason = why[0] ? why : NULL });
}

static void on_layout(void *context, struct hash image, struct buffer *ret)
{
	struct news *n = context;

	builder_layout(n->plugins->builder, image, ret); /* what isn't there isn't known */
}

struct deploy_callbacks news_callbacks(struct news *n)
{
	return (struct deploy_callbacks){
		.line = on_line,
		.worker_died = on_worker_died,
		.worker_replaced = on_worker_replaced,
		.swap_waits = on_swap_waits,
		.replacing = on_replacing,
		.unrecorded = on_unrecorded,
		.crashed = on_crashed,
		.fell_back = on_fell_back,
		.companion = on_companion,
		.judged = on_judged,
		.golden_case = on_golden_case,
		.layout = on_layout,
		.context = n,
	};
}
