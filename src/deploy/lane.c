/* SPDX-License-Identifier: MIT */

/*
 * Lane
 *
 * Requests that wait, and what they wait for: the generation that serves, or a canary.
 *
 * When: at the end of an iteration of the loop, everything that arrived in it is there to be
 * joined. Requests join when they agree in every extent but the first.
 *
 * How many: a worker gets at most WINDOW_NS of work in advance (by the moving mean of its
 * calls), at least two calls so that it never waits for us, and two while nothing is known of
 * them; three of a GPU, where the copies of two overlap with what the third computes. What waits longer, waits here, where it can still find company.
 */

#include <string.h>

#include "base/clock.h"
#include "deploy/internal.h"
#include "infer/signature.h"

#define WINDOW_NS (50 * NS_PER_US)
#define MAX_SCAN 256

struct lane {
	struct waiting_list *queue;
	unsigned *n_waiting;
	struct seat *seats;
	unsigned n_seats;
	struct signature *signature;
	uint32_t generation;
	uint64_t window_ns;
};

/* Choosing */

static bool agree(const struct infer_request *a, const struct infer_request *b)
{
	for (uint32_t i = 0; i < a->n_inputs; i++) {
		const struct tensor *x = &a->inputs[i], *y = &b->inputs[i];

		if (x->rank != y->rank ||
		    memcmp(x->shape + 1, y->shape + 1, (x->rank - 1) * sizeof(*x->shape)) != 0)
			return false;
	}
	return true;
}

/* The first that waits, and whoever fits to it. They stay in the queue. */
static void choose(const struct lane *l, struct batch *b, struct waiting **chosen)
{
	uint32_t limit = b->signature->max_batch_size;
	struct waiting *w = TAILQ_FIRST(l->queue);
	const struct infer_request *first = w->request;
	unsigned scanned = 0;

	chosen[0] = w;
	batch_add(b, w);
	while (limit && (w = TAILQ_NEXT(w, entry)) && b->rows < limit &&
	       b->n_members < BATCH_MAX_MEMBERS && scanned++ < MAX_SCAN) {
		if (b->rows + w->request->batch > limit || !agree(first, w->request))
			continue;
		chosen[b->n_members] = w;
		batch_add(b, w);
	}
}

/* Nanoseconds that the first request should still wait for company; 0: go. */
static uint64_t patience(const struct batch *b)
{
	uint64_t delay = b->signature->max_queue_delay_us * NS_PER_US;
	uint64_t waited;

	if (!delay || b->rows >= b->signature->max_batch_size || b->deployment->removed)
		return 0;
	waited = clock_ns() - b->members[0].since_ns;
	return waited < delay ? delay - waited : 0;
}

/* Sending */

static bool has_room(const struct lane *l, const struct seat *s)
{
	unsigned in_flight, window, most = s->deployment->settings.max_ongoing_requests;
	unsigned least = l->signature->cuda ? 3 : 2;

	if (!s->serving || s->generation != l->generation || !replica_room(s->serving))
		return false;
	in_flight = replica_in_flight(s->serving);
	window = l->window_ns ? (unsigned)(WINDOW_NS / l->window_ns) : 0;
	return in_flight < (window < least ? least : window) && (!most || in_flight < most);
}

/* The one that has least to do, of those that may get more; NULL: none may. */
static struct seat *choose_seat(const struct lane *l)
{
	struct seat *best = NULL;

	for (unsigned i = 0; i < l->n_seats; i++) {
		struct seat *s = &l->seats[i];

		if (has_room(l, s) &&
		    (!best || replica_in_flight(s->serving) < replica_in_flight(best->serving)))
			best = s;
	}
	return best;
}

static void on_delay_over(uv_timer_t *timer)
{
	struct deployment *d = timer->data;

	d->delay_armed = false; /* the flush at the end of this iteration does the rest */
}

/* Timers count milliseconds; the last of them is polled, so that 100 µs mean 100 µs. */
static void wait_for_company(struct deployment *d, uint64_t ns)
{
	struct hub *hub = d->deploy->hub;

	if (ns <= 2 * NS_PER_MS) {
		hub->poll_until_ns = clock_ns() + ns;
		return;
	}
	if (d->delay_armed && uv_timer_get_due_in(&d->delay) <= ns / NS_PER_MS)
		return;
	d->delay_armed = true;
	uv_update_time(hub->loop);
	uv_timer_start(&d->delay, on_delay_over, ns / NS_PER_MS - 1, 0);
}

static bool dispatch(struct deployment *d, const struct lane *l)
{
	struct waiting *chosen[BATCH_MAX_MEMBERS];
	struct seat *seat;
	bool any = false;

	while (*l->n_waiting && (seat = choose_seat(l))) {
		struct batch *b = batch_new(d, l->signature);
		uint64_t wait, spill = 0;
		int r;

		choose(l, b, chosen);
		wait = patience(b);
		if (wait) {
			wait_for_company(d, wait);
			batch_discard(b);
			break;
		}
		r = batch_reserve(b, &spill);
		for (unsigned i = 0; i < b->n_members; i++) {
			TAILQ_REMOVE(l->queue, chosen[i], entry);
			--*l->n_waiting;
			waiting_free(d->deploy, chosen[i]);
		}
		batch_submit(b, seat, r, spill);
		any = true;
	}
	return any;
}

bool lanes_dispatch(struct deployment *d)
{
	struct companion *c = &d->companion;
	bool any = false;

	if (d->n_waiting)
		any = dispatch(d, &(struct lane){ &d->queue, &d->n_waiting, d->seats, d->n_seats, d->handle.signature,
						  d->current.generation, d->window_ns });
	if (c->n_waiting)
		any |= dispatch(d, &(struct lane){ &c->queue, &c->n_waiting, c->seats, c->n_seats, c->release.signature,
						   c->release.generation, c->window_ns });
	if (c->shadow)
		any |= shadow_dispatch(d);
	return any;
}
