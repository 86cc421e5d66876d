/* SPDX-License-Identifier: MIT */
#include "deploy/deploy.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "deploy/internal.h"
#include "infer/json_parse.h"

#define LOOK_MS 1000

/*
 * Pages of its own: what it shares (images, arena) isn't its growth. Asked for once a second
 * while requests come, none of which allocates anything: nor does this.
 */
static uint64_t private_bytes(pid_t pid)
{
	unsigned long long resident = 0, shared = 0;
	char path[32], text[128];

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	if (file_read_line(path, text, sizeof(text)) < 0 ||
	    sscanf(text, "%*u %llu %llu", &resident, &shared) != 2)
		return 0;
	return resident > shared ? (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static void look_at_memory(struct deployment *d)
{
	uint64_t limit = d->deploy->max_worker_memory;

	for (unsigned i = 0; i < d->companion.n_seats && limit; i++) {
		const struct replica *r = d->companion.seats[i].serving;

		if (r && private_bytes(replica_pid(r)) > limit)
			companion_end(d, "it used more memory than --max-worker-memory");
	}
	for (unsigned i = 0; i < d->n_seats && limit; i++) {
		struct seat *s = &d->seats[i];

		if (s->serving && !s->must_replace && private_bytes(replica_pid(s->serving)) > limit)
			seat_replace(s, "it uses more memory than --max-worker-memory; does infer() leak?");
	}
}

/* Once a second while there is work, and once after it: then memory is given back. */
static void on_look(uv_timer_t *timer)
{
	struct deploy *d = timer->data;
	struct deployment *at;
	bool busy = d->hub->n_in_flight || d->n_calls != d->n_calls_seen;

	d->n_calls_seen = d->n_calls;
	LIST_FOREACH(at, &d->deployments, entry) {
		look_at_memory(at);
		if (!busy && at->arena.dirty)
			arena_trim(&at->arena);
		if (!busy)
			shadow_trim(at->companion.shadow);
		if (!busy && at->recorder.has_arena && at->recorder.arena.dirty)
			arena_trim(&at->recorder.arena);
	}
	if (busy || d->budget.used) /* what a slow client still holds is given back later */
		return;
	json_trim();
	uv_timer_stop(&d->look);
}

void deploy_look_later(struct deploy *d)
{
	d->n_calls++;
	if (uv_is_active((uv_handle_t *)&d->look) || d->closing)
		return;
	uv_timer_start(&d->look, on_look, LOOK_MS, LOOK_MS);
	uv_unref((uv_handle_t *)&d->look);
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
	d->state_dir = xstrdup(o->state_dir);
	d->max_queue = o->max_queue;
	d->max_worker_memory = o->max_worker_memory;
	d->create_timeout_ms = o->create_timeout_ms;
	d->proof_ns = o->proof_ms * NS_PER_MS;
	d->budget = (struct arena_budget){ .limit = o->max_memory, .press = shadow_press, .context = d };
	d->recorders.each = o->max_recordings;
	d->recorders.limit = 4 * o->max_recordings;
	LIST_INIT(&d->recorders.list);
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
	uv_timer_init(hub->loop, &d->look);
	d->look.data = d;
	spare_init(d);
	verdicts_open(d);
	*ret = d;
	return 0;
}

void deploy_set_last_recording(struct deploy *d, uint64_t id)
{
	d->recorders.last_id = id;
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
		any |= lanes_dispatch(at);
	for (at = LIST_FIRST(&d->removed); at; at = next) {
		next = LIST_NEXT(at, entry);
		any |= lanes_dispatch(at);
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
		uv_close((uv_handle_t *)&d->look, NULL);
		uv_close((uv_handle_t *)&d->later, NULL);
		verdicts_close(d);
	}
	d->closing = true;
	LIST_FOREACH(at, &d->deployments, entry)
		rollout_close(at);
	LIST_FOREACH(at, &d->removed, entry)
		rollout_close(at);
	spare_close(d); /* also of what the rollouts left */
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
	record_close(d);
	arena_fini(&d->trial_arena);
	free(d->worker);
	free(d->generations_dir);
	free(d->state_dir);
	free(d);
	return NULL;
}
