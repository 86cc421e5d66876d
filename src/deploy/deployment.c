/* SPDX-License-Identifier: MIT */
#include "deploy/deploy.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "deploy/internal.h"
#include "replica/sanitizer.h"
#include "infer/signature.h"

void deployment_ref(struct deployment *d)
{
	d->n_refs++;
}

static void on_deployment_closed(uv_handle_t *handle)
{
	struct deployment *d = handle->data;

	deployment_unref(d);
}

static void deployment_destroy(struct deployment *d)
{
	assert(TAILQ_EMPTY(&d->queue));
	LIST_REMOVE(d, entry);
	recorder_fini(&d->recorder);
	if (d->has_arena)
		arena_fini(&d->arena);
	signature_unref(d->handle.signature);
	release_fini(&d->current);
	release_fini(&d->previous);
	release_fini(&d->companion.release);
	free(d->answers);
	free(d->retry.why);
	signature_unref(d->retry.signature);
	free(d->reason);
	free(d->name);
	free(d);
}

void deployment_unref(struct deployment *d)
{
	if (--d->n_refs == 0)
		deployment_destroy(d);
}

static void insert_in_order(struct deploy *deploy, struct deployment *d)
{
	struct deployment *at, *last = NULL;

	LIST_FOREACH(at, &deploy->deployments, entry) {
		if (strcmp(at->name, d->name) > 0)
			break;
		last = at;
	}
	if (last)
		LIST_INSERT_AFTER(last, d, entry);
	else
		LIST_INSERT_HEAD(&deploy->deployments, d, entry);
	deploy->n_deployments++;
}

static void add_timer(struct deployment *d, uv_timer_t *timer)
{
	uv_timer_init(d->deploy->hub->loop, timer);
	timer->data = d;
	deployment_ref(d);
}

int deployment_add(struct deploy *deploy, const char *name, struct deployment **ret)
{
	struct handle *there = handle_find(deploy, name, strlen(name));
	struct deployment *d;
	int r;

	if (there) {
		handle_unref(there);
		return -EEXIST;
	}
	d = xcalloc(1, sizeof(*d));
	r = arena_init(&d->arena, name, &deploy->budget);
	if (r < 0) {
		free(d);
		return r;
	}
	d->has_arena = true;
	recorder_init(&d->recorder, &deploy->recorders);
	d->deploy = deploy;
	d->name = xstrdup(name);
	d->handle.name = d->name;
	d->handle.state = HANDLE_LOADING;
	d->handle.memory = &d->arena.memory;
	d->spill_guess = 16384;
	d->n_refs = 1;
	TAILQ_INIT(&d->queue);
	add_timer(d, &d->delay);
	add_timer(d, &d->deadline);
	for (unsigned i = 0; i < DEPLOY_MAX_REPLICAS; i++)
		seat_init(&d->seats[i], d, i);
	seat_init(&d->retry.seat, d, DEPLOY_MAX_REPLICAS);
	TAILQ_INIT(&d->retry.queue);
	companion_init(d);
	d->settings = DEPLOYMENT_SETTINGS_DEFAULT;
	insert_in_order(deploy, d);
	*ret = d;
	return 0;
}

static bool is_busy(const struct deployment *d)
{
	for (unsigned i = 0; i < d->n_seats; i++)
		if (seat_is_busy(&d->seats[i]))
			return true;
	return companion_drains(d);
}

/* Its workers pin the arena from now on: pages that go would be others to the GPU than to us. */
void deployment_expect(struct deployment *d, const struct signature *s)
{
	d->deploy->any_cuda |= s->cuda;
	d->arena.keeps |= s->cuda;
}

bool deployment_serves(const struct deployment *d)
{
	for (unsigned i = 0; i < d->n_seats; i++)
		if (d->seats[i].serving)
			return true;
	return false;
}

/* The last step of a removal: nothing waits and nothing runs any more. */
void deployment_settle_removal(struct deployment *d)
{
	if (!d->removed || d->n_waiting || is_busy(d))
		return;
	if (uv_is_closing((uv_handle_t *)&d->delay))
		return;
	rollout_on_removed(d);
	deployment_close_timers(d);
	deployment_unref(d);
}

void deployment_close_timers(struct deployment *d)
{
	uv_close((uv_handle_t *)&d->delay, on_deployment_closed);
	uv_close((uv_handle_t *)&d->deadline, on_deployment_closed);
	for (unsigned i = 0; i < DEPLOY_MAX_REPLICAS; i++)
		seat_close_timers(&d->seats[i]);
	seat_close_timers(&d->retry.seat);
	for (unsigned i = 0; i < DEPLOY_MAX_REPLICAS; i++)
		seat_close_timers(&d->companion.seats[i]);
}

void deployment_forget(struct deployment *d)
{
	rollout_on_removed(d);
	deployment_unref(d);
}

void deployment_remove(struct deployment *d)
{
	struct deploy *deploy = d->deploy;

	companion_end(d, "the deployment was removed");
	verdicts_drop(d);
	d->removed = true;
	LIST_REMOVE(d, entry);
	deploy->n_deployments--;
	LIST_INSERT_HEAD(&deploy->removed, d, entry);
	d->handle.state = HANDLE_UNAVAILABLE;
	d->handle.reason = "the deployment was removed";
	if (!deployment_serves(d))
		deployment_refuse_all(d, INFER_UNAVAILABLE, "the deployment was removed");
	deployment_settle_removal(d);
}

void deployment_set_unavailable(struct deployment *d, const char *reason, bool no_device)
{
	free(d->reason);
	d->reason = xstrdup(reason);
	d->handle.reason = d->reason;
	d->handle.no_device = no_device;
	d->handle.state = HANDLE_UNAVAILABLE;
	deployment_refuse_all(d, INFER_UNAVAILABLE, reason);
}

void deployment_set_stale(struct deployment *d, const char *stale)
{
	d->handle.stale = stale;
}

void deployment_set_last_generation(struct deployment *d, uint32_t generation)
{
	d->last_generation = generation;
}

struct handle *deployment_handle(struct deployment *d)
{
	return &d->handle;
}

bool deployment_get_image(const struct deployment *d, struct deployment_image *ret)
{
	const struct release *r = &d->current;

	if (!r->path)
		return false;
	*ret = (struct deployment_image){ .path = r->path, .weights = r->weights, .device = r->device,
					  .runtime = r->runtime,
					  .generation = r->generation, .cuda = r->signature->cuda,
					  .has_state = r->signature->state.size > 0 };
	return true;
}

struct recorder *deployment_recorder(struct deployment *d)
{
	return &d->recorder;
}

void deployment_get_stats(const struct deployment *d, struct deployment_stats *ret)
{
	*ret = d->stats;
	ret->waiting = d->n_waiting;
	ret->settings = d->settings;
	ret->in_flight = ret->n_workers = 0;
	ret->sanitizer = sanitizer_of(d->current.runtime);
	ret->dying = d->n_seats > 0;
	ret->spare_pid = d->spare && d->spare_has ? replica_pid(d->spare) : 0;
	for (unsigned i = 0; i < d->n_seats; i++) {
		const struct seat *s = &d->seats[i];

		ret->dying &= seat_is_dying(s);
		if (!s->serving)
			continue;
		ret->workers[ret->n_workers].pid = replica_pid(s->serving);
		ret->workers[ret->n_workers].generation = s->generation;
		ret->workers[ret->n_workers++].in_flight = replica_in_flight(s->serving);
		ret->in_flight += replica_in_flight(s->serving);
	}
}

/* Handles */

struct handle *handle_find(struct deploy *deploy, const char *name, size_t size)
{
	struct deployment *d;

	LIST_FOREACH(d, &deploy->deployments, entry)
		if (strncmp(d->name, name, size) == 0 && d->name[size] == '\0')
			return handle_ref(&d->handle);
	return NULL;
}

struct handle *handle_ref(struct handle *h)
{
	deployment_ref((struct deployment *)h);
	return h;
}

struct handle *handle_unref(struct handle *h)
{
	if (h)
		deployment_unref((struct deployment *)h);
	return NULL;
}

size_t handle_count(const struct deploy *d)
{
	return d->n_deployments;
}

struct handle *handle_at(const struct deploy *deploy, size_t i)
{
	struct deployment *d;

	LIST_FOREACH(d, &deploy->deployments, entry)
		if (i-- == 0)
			return &d->handle;
	return NULL;
}

/* Requests */

struct waiting *waiting_new(struct deploy *d, struct infer_request *r, uint64_t since_ns)
{
	struct waiting *w = TAILQ_FIRST(&d->free_waiting);

	if (w)
		TAILQ_REMOVE(&d->free_waiting, w, entry);
	else
		w = xmalloc(sizeof(*w));
	*w = (struct waiting){ .ticket = TICKET_WAITING, .request = r, .since_ns = since_ns };
	r->deploy = w;
	return w;
}

void waiting_free(struct deploy *d, struct waiting *w)
{
	TAILQ_INSERT_HEAD(&d->free_waiting, w, entry);
}

void deployment_refuse(struct deployment *d, struct infer_request *r, enum infer_status status,
		       uint64_t since_ns, const char *sentence)
{
	struct waiting *w = waiting_new(d->deploy, r, since_ns);

	w->refused = status;
	r->generation = d->handle.generation;
	infer_request_refuse(r, status, "%s", sentence);
	TAILQ_INSERT_TAIL(&d->deploy->refused, w, entry);
	d->stats.failures++;
}

void deployment_refuse_all(struct deployment *d, enum infer_status status, const char *sentence)
{
	struct waiting *w;

	while ((w = TAILQ_FIRST(&d->queue))) {
		TAILQ_REMOVE(&d->queue, w, entry);
		d->n_waiting--;
		deployment_refuse(d, w->request, status, w->since_ns, sentence);
		waiting_free(d->deploy, w);
	}
}

void deployment_refuse_strangers(struct deployment *d)
{
	struct waiting *w, *next;

	for (w = TAILQ_FIRST(&d->queue); w; w = next) {
		next = TAILQ_NEXT(w, entry);
		if (signature_equal(w->request->signature, d->handle.signature))
			continue;
		TAILQ_REMOVE(&d->queue, w, entry);
		d->n_waiting--;
		deployment_refuse(d, w->request, INFER_UNAVAILABLE, w->since_ns, DEPLOYMENT_CHANGED);
		waiting_free(d->deploy, w);
	}
}

static void enqueue(struct deployment *d, struct infer_request *r, uint64_t now)
{
	struct waiting *w = waiting_new(d->deploy, r, now);

	if (canary_takes(d)) {
		canary_enqueue(d, w);
	} else {
		TAILQ_INSERT_TAIL(&d->queue, w, entry);
		d->n_waiting++;
	}
	deadline_arm(d, r);
}

void handle_submit(struct handle *h, struct infer_request *r)
{
	struct deployment *d = (struct deployment *)h;
	uint64_t now = clock_ns();

	d->stats.requests++;
	if (d->removed || h->state == HANDLE_UNAVAILABLE)
		deployment_refuse(d, r, INFER_UNAVAILABLE, now, h->reason);
	else if (!h->signature || (r->signature != h->signature &&
				   !signature_equal(r->signature, h->signature)))
		deployment_refuse(d, r, INFER_UNAVAILABLE, now, DEPLOYMENT_CHANGED);
	else if (d->n_waiting >= d->deploy->max_queue)
		deployment_refuse(d, r, INFER_UNAVAILABLE, now, "Exceeds maximum queue size");
	else
		enqueue(d, r, now);
}

static void forget_waiting(struct deployment *d, struct waiting *w)
{
	if (w->refused) {
		TAILQ_REMOVE(&d->deploy->refused, w, entry);
	} else if (w->place == WAITING_IN_RETRY) {
		TAILQ_REMOVE(&d->retry.queue, w, entry);
		d->retry.n_waiting--;
	} else if (w->place == WAITING_FOR_CANARY) {
		TAILQ_REMOVE(&d->companion.queue, w, entry);
		d->companion.n_waiting--;
	} else {
		TAILQ_REMOVE(&d->queue, w, entry);
		d->n_waiting--;
	}
	waiting_free(d->deploy, w);
}

void handle_cancel(struct handle *h, struct infer_request *r)
{
	struct deployment *d = (struct deployment *)h;

	if (!r->deploy)
		return;
	if (*(enum ticket *)r->deploy == TICKET_WAITING)
		forget_waiting(d, r->deploy);
	else
		batch_forget(r->deploy, r);
	r->deploy = NULL;
}

void handle_release(struct handle *h, struct infer_request *r)
{
	(void)h;
	if (r->deploy)
		batch_drop_user(r->deploy);
	r->deploy = NULL;
}
