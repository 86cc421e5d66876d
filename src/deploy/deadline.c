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
 * A client may have less patience (the parameter `timeout`, in microseconds): then its request
 * must have begun by then, or gets 504 and isn't run at all. No worker is ended for that.
 *
 * A worker that a debugger has takes its time: what it was given waits as long as its client does.
 *
 * One timer a deployment, at the earliest moment at which something can be over: nothing of
 * this is touched on the request path while it is armed.
 */

#include "base/clock.h"
#include "deploy/internal.h"

#define TOO_LONG "the request took longer than request_timeout_s of its deployment"
#define SHADOW_PATIENCE 4
#define EXPIRED "Request timeout expired: it wasn't begun within the request's own timeout"

static uint64_t limit_ns(const struct deployment *d)
{
	return d->settings.request_timeout_ms * NS_PER_MS;
}

/* 0: none. */
static uint64_t own_limit_ns(const struct infer_request *r)
{
	return r->timeout_us < UINT64_MAX / 4 / NS_PER_US ? r->timeout_us * NS_PER_US : 0;
}

static void start(struct deployment *d, uint64_t in_ns)
{
	uv_update_time(d->deploy->hub->loop);
	uv_timer_start(&d->deadline, deadline_on_timer, in_ns / NS_PER_MS + 1, 0);
}

/* Unless it comes earlier anyway. */
static void start_by(struct deployment *d, uint64_t in_ns)
{
	uv_handle_t *timer = (uv_handle_t *)&d->deadline;

	if (!uv_is_closing(timer) &&
	    (!uv_is_active(timer) || uv_timer_get_due_in(&d->deadline) > in_ns / NS_PER_MS + 1))
		start(d, in_ns);
}

void deadline_arm(struct deployment *d, const struct infer_request *r)
{
	if (d->settings.request_timeout_ms && !uv_is_active((uv_handle_t *)&d->deadline) &&
	    !uv_is_closing((uv_handle_t *)&d->deadline))
		start(d, limit_ns(d));
	if (r->timeout_us && own_limit_ns(r))
		start_by(d, own_limit_ns(r));
}

/* @earliest: when the next is over, of those that aren't. */
static bool has_passed(uint64_t since_ns, uint64_t limit, uint64_t now, uint64_t *earliest)
{
	if (!limit)
		return false;
	if (now - since_ns >= limit)
		return true;
	if (since_ns + limit < *earliest)
		*earliest = since_ns + limit;
	return false;
}

static bool is_over(const struct deployment *d, uint64_t since_ns, uint64_t now, uint64_t *earliest)
{
	return has_passed(since_ns, limit_ns(d), now, earliest);
}

static bool has_expired(const struct infer_request *r, uint64_t since_ns, uint64_t now, uint64_t *earliest)
{
	return has_passed(since_ns, own_limit_ns(r), now, earliest);
}

static void look_at_queue(struct deployment *d, struct waiting_list *queue, unsigned *n, uint64_t now,
			  uint64_t *earliest)
{
	struct waiting *w, *next;

	for (w = TAILQ_FIRST(queue); w; w = next) {
		bool over = is_over(d, w->since_ns, now, earliest);

		next = TAILQ_NEXT(w, entry);
		if (!over && !has_expired(w->request, w->since_ns, now, earliest))
			continue;
		TAILQ_REMOVE(queue, w, entry);
		--*n;
		deployment_refuse(d, w->request, INFER_TIMEOUT, w->since_ns, over ? TOO_LONG : EXPIRED);
		waiting_free(d->deploy, w);
	}
}

static bool ignores(const struct deployment *d, const struct replica *r, const struct batch *b, uint64_t now)
{
	return replica_runs_nothing(r) && now - b->submitted_ns >= limit_ns(d);
}

/* A call that lies in the ring and that none of its clients waits for any more is skipped there. */
static void look_at_ring(struct batch *b, uint64_t now, uint64_t *earliest)
{
	bool all = b->n_members > 0 && !b->unwanted && !replica_runs(b->replica, b);

	for (unsigned i = 0; i < b->n_members && all; i++)
		if (b->members[i].request)
			all = has_expired(b->members[i].request, b->members[i].since_ns, now, earliest);
	if (all)
		batch_answer_early(b, INFER_TIMEOUT, EXPIRED);
}

/* Who runs where nobody else wants to needs time. */
static uint64_t limit_of(const struct deployment *d, const struct batch *b)
{
	return limit_ns(d) * (b->copy ? SHADOW_PATIENCE : 1);
}

static void look_at_seat(struct deployment *d, struct seat *s, uint64_t now, uint64_t *earliest)
{
	struct batch *b;

	LIST_FOREACH(b, &s->batches, flying) {
		look_at_ring(b, now, earliest);
		if (!has_passed(b->due_from_ns, limit_of(d, b), now, earliest))
			continue;
		if (replica_is_traced(b->replica)) {
			b->due_from_ns = now;
			is_over(d, now, now, earliest);
			continue;
		}
		batch_answer_early(b, INFER_TIMEOUT, TOO_LONG);
		if (replica_runs(b->replica, b) || ignores(d, b->replica, b, now))
			replica_interrupt(b->replica, "a call took longer than request_timeout_s");
		b->due_from_ns = now; /* should it begin later, it has its time again */
		if (replica_runs_nothing(b->replica) && !is_over(d, b->submitted_ns, now, earliest))
			b->due_from_ns = b->submitted_ns;
		is_over(d, b->due_from_ns, now, earliest);
	}
}

void deadline_on_timer(uv_timer_t *timer)
{
	struct deployment *d = timer->data;
	uint64_t now = clock_ns(), earliest = UINT64_MAX;

	look_at_queue(d, &d->queue, &d->n_waiting, now, &earliest);
	look_at_queue(d, &d->retry.queue, &d->retry.n_waiting, now, &earliest);
	look_at_queue(d, &d->companion.queue, &d->companion.n_waiting, now, &earliest);
	for (unsigned i = 0; i < DEPLOY_MAX_REPLICAS; i++)
		look_at_seat(d, &d->seats[i], now, &earliest);
	look_at_seat(d, &d->retry.seat, now, &earliest);
	for (unsigned i = 0; i < DEPLOY_MAX_REPLICAS; i++)
		look_at_seat(d, &d->companion.seats[i], now, &earliest);
	if (earliest != UINT64_MAX)
		start(d, earliest - now);
}

void deadline_settings_changed(struct deployment *d)
{
	uv_timer_stop(&d->deadline);
	deadline_on_timer(&d->deadline);
}
