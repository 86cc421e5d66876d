/* SPDX-License-Identifier: MIT */

/* What a worker says, of which nothing is believed that wasn't due. */

#include <string.h>

#include "replica/internal.h"

/* The call of a slot that the worker named, or NULL where it named none of ours. */
static void *call_in_slot(struct replica *r, uint32_t slot)
{
	return slot < REPLICA_MAX_CALLS ? r->slots[slot].call : NULL;
}

static void handle_done(struct replica *r, uint32_t slot)
{
	if (!call_in_slot(r, slot)) {
		replica_break_off(r);
		return;
	}
	r->callbacks->done(r->context, replica_free_slot(r, slot));
	if (r->stopping && !replica_in_flight(r))
		replica_start_grace(r);
}

static void handle_need(struct replica *r, const struct message *m)
{
	void *call = call_in_slot(r, m->slot);
	uint64_t offset;

	if (!call) {
		replica_break_off(r);
		return;
	}
	offset = r->callbacks->need(r->context, call, m->size);
	link_grant(r->link, offset, offset ? m->size : 0);
}

static void handle_loaded(struct replica *r, const struct message *m)
{
	char sentence[sizeof(r->link->sentence)];

	memcpy(sentence, r->link->sentence, sizeof(sentence));
	sentence[sizeof(sentence) - 1] = '\0';
	if (r->callbacks->loaded)
		r->callbacks->loaded(r->context, (int)(m->extra & 0xffff), m->extra ? sentence : "");
}

/* Whether the answer @m was due. */
static bool is_due(struct replica *r, uint32_t kind)
{
	switch (kind) {
	case LINK_UP:
		return !r->is_up && (r->is_up = true);
	case LINK_LOADED:
		return r->n_loads && r->n_loads--;
	case LINK_SWAPPED:
		if (!r->n_swaps)
			return false;
		r->n_swaps--;
		r->n_unloads += r->has_swapped; /* the image before */
		return r->has_swapped = true;
	case LINK_UNLOADED:
		return r->n_unloads && r->n_unloads--;
	case LINK_PROVED:
		return r->n_proofs && r->n_proofs--;
	case LINK_MEASURED:
		return r->n_measurements && r->n_measurements--;
	default:
		return true;
	}
}

static void handle(struct replica *r, const struct message *m)
{
	if (!is_due(r, m->kind)) {
		replica_break_off(r);
		return;
	}
	switch (m->kind) {
	case LINK_DONE:
		handle_done(r, m->slot);
		break;
	case LINK_NEED:
		handle_need(r, m);
		break;
	case LINK_UP:
		replica_learn_pid(r);
		if (r->callbacks->up)
			r->callbacks->up(r->context);
		break;
	case LINK_LOADED:
		handle_loaded(r, m);
		break;
	case LINK_SWAPPED:
		if (r->callbacks->swapped)
			r->callbacks->swapped(r->context, m->extra);
		break;
	case LINK_PROVED:
		if (r->callbacks->proved)
			r->callbacks->proved(r->context, (int)(m->extra & 0xffff));
		break;
	case LINK_MEASURED:
		if (r->callbacks->measured)
			r->callbacks->measured(r->context, (int)(m->extra & 0xffff));
		break;
	case LINK_UNLOADED:
		if (r->callbacks->unloaded)
			r->callbacks->unloaded(r->context, m->extra == LINK_UNMAPPED ? REPLICA_UNMAPPED :
							   m->extra == LINK_THREADS_LEFT ? REPLICA_THREADS_LEFT :
											   REPLICA_STILL_MAPPED);
		break;
	default:
		replica_break_off(r);
	}
}

/* Not more than a ring has at once: a worker that writes all the time must not hold the loop. */
bool replica_drain(struct replica *r)
{
	struct message m;
	unsigned taken = 0;
	int n = 0;

	while (!r->gone && !r->broken && taken < RING_SIZE && (n = ring_take(&r->to_server, &m)) > 0) {
		ring_consume(&r->to_server);
		handle(r, &m);
		taken++;
	}
	if (n < 0)
		replica_break_off(r);
	return taken > 0;
}
