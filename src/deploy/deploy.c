/* SPDX-License-Identifier: MIT */
#include "deploy/deploy.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "deploy/internal.h"

#define TRIM_MS 10000

static void on_trim(uv_timer_t *timer)
{
	struct deploy *d = timer->data;
	struct deployment *at;

	if (d->hub->n_in_flight)
		return;
	LIST_FOREACH(at, &d->deployments, entry)
		if (at->arena.dirty)
			arena_trim(&at->arena);
}

int deploy_new(struct hub *hub, const struct deploy_options *o, const struct deploy_callbacks *cb,
	       struct deploy **ret)
{
	struct deploy *d = xcalloc(1, sizeof(*d));
	static struct arena_budget none = { .limit = 4096 };
	int r;

	d->hub = hub;
	d->cb = *cb;
	d->worker = xstrdup(o->worker);
	d->generations_dir = xstrdup(o->generations_dir);
	d->max_queue = o->max_queue;
	d->budget.limit = o->max_memory;
	LIST_INIT(&d->deployments);
	LIST_INIT(&d->removed);
	TAILQ_INIT(&d->refused);
	TAILQ_INIT(&d->free_waiting);
	SLIST_INIT(&d->free_batches);
	file_remove_tree(o->generations_dir); /* of a server before us */
	r = file_make_directories(o->generations_dir);
	if (r == 0)
		r = arena_init(&d->trial_arena, "trial", &none);
	if (r < 0) {
		deploy_free(d);
		return r;
	}
	uv_timer_init(hub->loop, &d->trim);
	d->trim.data = d;
	uv_timer_start(&d->trim, on_trim, TRIM_MS, TRIM_MS);
	uv_unref((uv_handle_t *)&d->trim);
	uv_timer_init(hub->loop, &d->later);
	d->later.data = d;
	uv_unref((uv_handle_t *)&d->later);
	*ret = d;
	return 0;
}

static void answer_refused(struct deploy *d)
{
	struct waiting *w;

	while ((w = TAILQ_FIRST(&d->refused))) {
		struct infer_request *r = w->request;

		TAILQ_REMOVE(&d->refused, w, entry);
		waiting_free(d, w);
		r->deploy = NULL;
		r->done(r);
	}
}

bool deploy_flush(void *context)
{
	struct deploy *d = context;
	struct deployment *at, *next;
	bool any = !TAILQ_EMPTY(&d->refused);

	for (at = LIST_FIRST(&d->deployments); at; at = LIST_NEXT(at, entry))
		any |= batch_dispatch(at);
	for (at = LIST_FIRST(&d->removed); at; at = next) {
		next = LIST_NEXT(at, entry);
		any |= batch_dispatch(at);
	}
	answer_refused(d);
	return any;
}

/*
 * The loop itself tells when everything has ended: hub_run() returns when no handle is
 * active. So closing is only a matter of asking everybody to end.
 */
void deploy_close(struct deploy *d, bool now)
{
	struct deployment *at;

	if (!d->closing) {
		uv_close((uv_handle_t *)&d->trim, NULL);
		uv_close((uv_handle_t *)&d->later, NULL);
	}
	d->closing = true;
	while (d->n_tried)
		replica_abandon(d->tried[--d->n_tried]);
	d->spare = replica_abandon(d->spare);
	LIST_FOREACH(at, &d->deployments, entry)
		rollout_close(at);
	LIST_FOREACH(at, &d->removed, entry)
		rollout_close(at);
	while (d->trials)
		trial_cancel(d->trials);
	for (struct replica *r = d->hub->replicas; r && now; r = *replica_link(r))
		replica_kill(r);
}

struct deploy *deploy_free(struct deploy *d)
{
	struct deployment *at, *next;
	struct waiting *w;
	struct batch *b;

	if (!d)
		return NULL;
	for (at = LIST_FIRST(&d->deployments); at; at = next) {
		next = LIST_NEXT(at, entry);
		deployment_forget(at);
	}
	while ((w = TAILQ_FIRST(&d->free_waiting))) {
		TAILQ_REMOVE(&d->free_waiting, w, entry);
		free(w);
	}
	while ((b = SLIST_FIRST(&d->free_batches))) {
		SLIST_REMOVE_HEAD(&d->free_batches, entry);
		free(b);
	}
	arena_fini(&d->trial_arena);
	free(d->worker);
	free(d->generations_dir);
	free(d);
	return NULL;
}
