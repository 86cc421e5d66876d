/* SPDX-License-Identifier: MIT */

/*
 * Deadline
 *
 * A request has request_timeout_ms from its arrival to its answer; then it gets 504. When its
 * call is running, the worker is ended with it: nothing else stops a loop. A call that waits
 * behind another one in the ring loses only the requests whose time is over. A worker that runs
 * nothing, by its own word, and yet leaves a call that long is ended too: it was stopped from
 * outside, or it lies.
 *
 * One timer a deployment, at the earliest moment at which something can be over: nothing of
 * this is touched on the request path while it is armed.
 */

#include "base/clock.h"
#include "deploy/internal.h"

#define TOO_LONG "the request took longer than request_timeout_s of its deployment"

static uint64_t limit_ns(const struct deployment *d)
{
	return d->settings.request_timeout_ms * NS_PER_MS;
}

static void start(struct deployment *d, uint64_t in_ns)
{
	uv_update_time(d->deploy->hub->loop);
	uv_timer_start(&d->deadline, deadline_on_timer, in_ns / NS_PER_MS + 1, 0);
}

void deadline_arm(struct deployment *d)
{
	if (d->settings.request_timeout_ms && !uv_is_active((uv_handle_t *)&d->deadline) &&
	    !uv_is_closing((uv_handle_t *)&d->deadline))
		start(d, limit_ns(d));
}

static bool is_over(const struct deployment *d, uint64_t since_ns, uint64_t now, uint64_t *earliest)
{
	if (now - since_ns >= limit_ns(d))
		return true;
	if (since_ns < *earliest)
		*earliest = since_ns;
	return false;
}

static void look_at_queue(struct deployment *d, struct waiting_list *queue, unsigned *n, uint64_t now,
			  uint64_t *earliest)
{
	struct waiting *w, *next;

	for (w = TAILQ_FIRST(queue); w; w = next) {
		next = TAILQ_NEXT(w, entry);
		if (!is_over(d, w->since_ns, now, earliest))
			continue;
		TAILQ_REMOVE(queue, w, entry);
		--*n;
		deployment_refuse(d, w->request, INFER_TIMEOUT, w->since_ns, TOO_LONG);
		waiting_free(d->deploy, w);
	}
}

static bool ignores(const struct deployment *d, const struct replica *r, const struct batch *b, uint64_t now)
{
	return replica_runs_nothing(r) && now - b->submitted_ns >= limit_ns(d);
}

static void look_at_seat(struct deployment *d, struct seat *s, uint64_t now, uint64_t *earliest)
{
	struct batch *b;

	LIST_FOREACH(b, &s->batches, flying) {
		if (!is_over(d, b->due_from_ns, now, earliest))
			continue;
		batch_answer_early(b, INFER_TIMEOUT, TOO_LONG);
		if (replica_runs(b->replica, b) || ignores(d, b->replica, b, now))
			replica_interrupt(b->replica, "a call took longer than request_timeout_s");
		b->due_from_ns = now; /* should it begin later, it has its time again */
		if (replica_runs_nothing(b->replica) && !is_over(d, b->submitted_ns, now, earliest))
			b->due_from_ns = b->submitted_ns;
		if (b->due_from_ns < *earliest)
			*earliest = b->due_from_ns;
	}
}

void deadline_on_timer(uv_timer_t *timer)
{
	struct deployment *d = timer->data;
	uint64_t now = clock_ns(), earliest = UINT64_MAX;

	if (!d->settings.request_timeout_ms)
		return;
	look_at_queue(d, &d->queue, &d->n_waiting, now, &earliest);
	look_at_queue(d, &d->retry.queue, &d->retry.n_waiting, now, &earliest);
	for (unsigned i = 0; i < DEPLOY_MAX_REPLICAS; i++)
		look_at_seat(d, &d->seats[i], now, &earliest);
	look_at_seat(d, &d->retry.seat, now, &earliest);
	if (earliest != UINT64_MAX)
		start(d, earliest + limit_ns(d) - now);
}

void deadline_settings_changed(struct deployment *d)
{
	uv_timer_stop(&d->deadline);
	deadline_on_timer(&d->deadline);
}
