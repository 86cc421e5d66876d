/* SPDX-License-Identifier: MIT */

/*
 * Trial
 *
 * A new image is first loaded in a worker that serves nobody, so that a constructor or a
 * create() that crashes, hangs or says no costs nothing but that worker. A spare worker has
 * started already and waits for the purpose; when several saves come at once the others start
 * their own. A worker is used for one trial only. (Golden cases and recorded requests will be
 * run here too.)
 */

#include <stdlib.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "deploy/internal.h"

#define TRIAL_TIME_MS 60000
#define LATER_MS 250 /* after a swap: killing a worker and starting one take CPU from serving */

struct trial {
	struct trial *next;
	struct deploy *deploy;
	struct replica *replica;
	const char *name; /* borrowed from the deployment, which outlives its trial */
	char *path;
	bool ended;
	uv_timer_t timer;
	trial_done_fn done;
	void *context;
};

static void on_timer_closed(uv_handle_t *handle)
{
	struct trial *t = handle->data;

	free(t->path);
	free(t);
}

static void trial_unlink(struct trial *t)
{
	struct trial **at = &t->deploy->trials;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

static void end(struct trial *t, int error, const char *sentence)
{
	if (t->ended)
		return;
	t->ended = true;
	trial_unlink(t);
	t->done(t->context, error, sentence);
}

static void on_up(void *context)
{
	struct trial *t = context;

	replica_load(t->replica, t->path);
}

static void rest(struct trial *t);

static void on_loaded(void *context, int error, const char *sentence)
{
	struct trial *t = context;

	rest(t);
	end(t, error, sentence);
}

static void on_died(void *context, pid_t pid, const char *how)
{
	struct trial *t = context;
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;

	(void)pid;
	t->replica = NULL;
	buffer_printf(&sentence, "the worker that loaded it for a trial %s", how);
	end(t, 1, sentence.data);
}

static void on_line(void *context, int level, const char *text, size_t size)
{
	struct trial *t = context;
	struct deploy *d = t->deploy;

	d->cb.line(d->cb.context, t->name, 0, level, text, size);
}

static const struct replica_callbacks trying = {
	.up = on_up,
	.loaded = on_loaded,
	.line = on_line,
	.died = on_died,
};

static void on_time_over(uv_timer_t *timer)
{
	struct trial *t = timer->data;

	t->replica = replica_abandon(t->replica);
	end(t, 1, "create() did not return within 60 s");
}

/* The spare, before it has a task. */

static void on_spare_up(void *context)
{
	(void)context;
}

static void on_spare_line(void *context, int level, const char *text, size_t size)
{
	(void)context, (void)level, (void)text, (void)size;
}

static void on_spare_died(void *context, pid_t pid, const char *how)
{
	struct deploy *d = context;

	(void)pid, (void)how;
	d->spare = NULL;
}

static const struct replica_callbacks waiting = {
	.up = on_spare_up,
	.line = on_spare_line,
	.died = on_spare_died,
};

/* A worker whose trial is over. */

static void on_resting_died(void *context, pid_t pid, const char *how)
{
	struct deploy *d = context;

	(void)how;
	for (unsigned i = 0; i < d->n_tried; i++) {
		if (replica_pid(d->tried[i]) == pid) {
			d->tried[i] = d->tried[--d->n_tried];
			return;
		}
	}
}

static const struct replica_callbacks resting = {
	.died = on_resting_died,
};

static void rest(struct trial *t)
{
	struct deploy *d = t->deploy;

	if (d->n_tried == MAX_TRIED)
		replica_abandon(d->tried[--d->n_tried]);
	replica_set_callbacks(t->replica, &resting, d);
	d->tried[d->n_tried++] = t->replica;
	t->replica = NULL;
}

static int start_worker(struct deploy *d, const struct replica_callbacks *callbacks, void *context,
			struct replica **ret)
{
	return replica_start(d->hub,
			     &(struct replica_options){ .worker = d->worker,
							.name = "spare",
							.arena = &d->trial_arena,
							.callbacks = callbacks,
							.context = context },
			     ret);
}

void trial_on_later(uv_timer_t *timer)
{
	struct deploy *d = timer->data;

	while (d->n_tried)
		replica_abandon(d->tried[--d->n_tried]);
	if (!d->spare)
		start_worker(d, &waiting, d, &d->spare);
}

void trial_prepare_spare(struct deploy *d)
{
	if (d->closing || uv_is_active((uv_handle_t *)&d->later))
		return;
	uv_update_time(d->hub->loop);
	uv_timer_start(&d->later, trial_on_later, LATER_MS, 0);
}

struct trial *trial_start(struct deploy *d, const char *name, const char *path, trial_done_fn done,
			  void *context)
{
	struct trial *t = xcalloc(1, sizeof(*t));

	t->deploy = d;
	t->name = name;
	t->path = xstrdup(path);
	t->done = done;
	t->context = context;
	if (d->spare) {
		t->replica = d->spare;
		d->spare = NULL;
		replica_set_callbacks(t->replica, &trying, t);
		replica_load(t->replica, path);
	} else if (start_worker(d, &trying, t, &t->replica) < 0) {
		free(t->path);
		free(t);
		return NULL;
	}
	uv_timer_init(d->hub->loop, &t->timer);
	t->timer.data = t;
	uv_timer_start(&t->timer, on_time_over, TRIAL_TIME_MS, 0);
	t->next = d->trials;
	d->trials = t;
	return t;
}

struct trial *trial_cancel(struct trial *t)
{
	if (t && !t->ended) {
		t->ended = true;
		t->replica = replica_abandon(t->replica);
		trial_unlink(t);
	}
	return NULL;
}
