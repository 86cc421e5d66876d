/* SPDX-License-Identifier: MIT */

/*
 * An iteration of the loop: prepare → poll for I/O → check.
 *
 * check    the server is awake: nobody needs to ring. Handlers of sockets have queued
 *          requests: let them be submitted (flush), wake
 *          each worker once, drain what has completed meanwhile.
 * prepare  before a sleep: say so to the workers (server_sleeps), then look once more; what
 *          is found turns the sleep into a poll (an active idle handle).
 *
 * While the last submit is younger than POLL_NS the loop doesn't sleep at all, also when its
 * answer has gone out: the next request of the same client is on its way. Between two looks it
 * yields the CPU, on which the worker may wait.
 */

#include "replica/hub.h"

#include <sched.h>

#include "base/clock.h"
#include "replica/replica.h"

#define POLL_NS (50 * NS_PER_US)

static bool pump(struct hub *h)
{
	bool any = h->flush(h->context);
	struct replica *next;

	for (struct replica *r = h->replicas; r; r = next) {
		next = *replica_link(r);
		replica_flush(r);
		any |= replica_drain(r);
	}
	return any;
}

static bool any_pending(const struct hub *h)
{
	for (struct replica *r = h->replicas; r; r = *replica_link(r))
		if (replica_pending(r))
			return true;
	return false;
}

static void on_idle(uv_idle_t *idle)
{
	(void)idle;
}

static void on_check(uv_check_t *check)
{
	struct hub *h = check->data;

	uv_idle_stop(&h->idle);
	for (struct replica *r = h->replicas; r; r = *replica_link(r))
		replica_disarm(r);
	for (int i = 0; i < 4 && pump(h); i++)
		;
}

static void on_prepare(uv_prepare_t *prepare)
{
	struct hub *h = prepare->data;
	bool more = true;

	for (int i = 0; i < 4 && more; i++)
		more = pump(h);
	if (h->polling)
		return;
	for (struct replica *r = h->replicas; r; r = *replica_link(r))
		replica_arm(r);
	if (more || h->poll_until_ns || any_pending(h))
		uv_idle_start(&h->idle, on_idle);
}

void hub_init(struct hub *h, uv_loop_t *loop, bool (*flush)(void *context), void *context)
{
	cpu_set_t cpus;

	*h = (struct hub){ .loop = loop, .flush = flush, .context = context };
	h->few_cpus = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) <= 2;
	h->cpus = cpus;
	uv_prepare_init(loop, &h->prepare);
	uv_check_init(loop, &h->check);
	uv_idle_init(loop, &h->idle);
	h->prepare.data = h->check.data = h->idle.data = h;
	uv_prepare_start(&h->prepare, on_prepare);
	uv_check_start(&h->check, on_check);
	uv_unref((uv_handle_t *)&h->prepare);
	uv_unref((uv_handle_t *)&h->check);
	uv_unref((uv_handle_t *)&h->idle);
}

static bool should_poll(struct hub *h)
{
	uint64_t now;

	now = clock_ns();
	if (now >= h->poll_until_ns)
		h->poll_until_ns = 0;
	return h->poll_until_ns || now - h->last_submit_ns < POLL_NS;
}

void hub_run(struct hub *h)
{
	int alive = 1;

	while (alive) {
		h->polling = should_poll(h);
		h->submitted = false;
		alive = uv_run(h->loop, h->polling ? UV_RUN_NOWAIT : UV_RUN_ONCE);
		if (h->n_in_flight || h->polling)
			sched_yield();
	}
}

void hub_close(struct hub *h)
{
	uv_close((uv_handle_t *)&h->prepare, NULL);
	uv_close((uv_handle_t *)&h->check, NULL);
	uv_close((uv_handle_t *)&h->idle, NULL);
}

void hub_add(struct hub *h, struct replica *r)
{
	*replica_link(r) = h->replicas;
	h->replicas = r;
}

void hub_remove(struct hub *h, struct replica *r)
{
	struct replica **at = &h->replicas;

	while (*at && *at != r)
		at = replica_link(*at);
	if (*at)
		*at = *replica_link(r);
}
