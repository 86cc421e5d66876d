/* SPDX-License-Identifier: MIT */
#include "serve/plugin_loops.h"

#include <stdlib.h>

#include "base/memory.h"
#include "build/loop_change.h"
#include "build/look.h"
#include "serve/event.h"
#include "serve/plugin.h"

static void tell(struct plugin *p, const struct loops *now)
{
	const struct plugin_loops *l = &p->loops;
	struct loop_change *changes = NULL;
	size_t n = l->generation ? loops_compare(&l->known, now, &changes) : 0;

	if (n)
		events_emit(p->plugins->events, &(struct event){ .kind = EVENT_LOOPS_CHANGED,
								 .deployment = p->name,
								 .generation = l->looked_at,
								 .from = l->generation,
								 .loops = changes,
								 .n_loops = n });
	free(changes);
}

static void on_told(void *context, const struct loops *loops)
{
	struct plugin *p = context;

	p->loops.look = NULL;
	if (!loops)
		return;
	tell(p, loops);
	loops_fini(&p->loops.known);
	loops_add(&p->loops.known, loops);
	p->loops.generation = p->loops.looked_at;
}

void plugin_loops_look(struct plugin *p, uint32_t generation, uint32_t from, bool identical, struct hash sources)
{
	plugin_loops_abandon(p);
	if (identical && p->loops.generation == from) {
		p->loops.generation = generation;
		return;
	}
	p->loops.looked_at = generation;
	p->loops.look = look_start(p->plugins->builder, &p->recipe, sources, on_told, p);
}

void plugin_loops_abandon(struct plugin *p)
{
	p->loops.look = look_cancel(p->loops.look);
}

void plugin_loops_fini(struct plugin *p)
{
	plugin_loops_abandon(p);
	loops_fini(&p->loops.known);
}
