/* SPDX-License-Identifier: MIT */

/*
 * Trial
 *
 * A new image is first loaded in a worker that serves nobody, so that a constructor or a
 * create() that crashes, hangs or says no costs nothing but that worker; its own check and the
 * taking over of the state, on a copy, are part of it. A worker that came through holds the
 * image, created: it is where a crashed replica goes on, or the next spare.
 */

#include <stdlib.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "deploy/internal.h"
#include "infer/signature.h"

#define MAX_KILLED 3

struct trial {
	struct trial *next;
	struct deployment *deployment; /* outlives its trial */
	struct replica *replica;
	const struct release *release; /* the wish's: stays until we end */
	char *state;
	bool ended;
	unsigned n_killed;
	uv_timer_t timer;
	trial_done_fn done;
	void *context;
};

static void on_timer_closed(uv_handle_t *handle)
{
	struct trial *t = handle->data;

	free(t->state);
	free(t);
}

static void trial_unlink(struct trial *t)
{
	struct trial **at = &t->deployment->deploy->trials;

	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

static void end(struct trial *t, int error, const char *sentence)
{
	struct replica *r = error ? NULL : t->replica;

	if (t->ended)
		return;
	t->ended = true;
	if (error && t->replica)
		spare_rest(t->deployment->deploy, t->replica);
	t->replica = NULL;
	trial_unlink(t);
	t->done(t->context, error, sentence, r);
}

static void on_up(void *context)
{
	struct trial *t = context;

	struct replica_image image = release_image(t->release);

	image.state = t->state;
	image.trial = true;
	replica_load(t->replica, &image);
}

static void on_loaded(void *context, int error, const char *sentence)
{
	struct trial *t = context;

	if (!replica_is_stopping(t->replica)) /* else its time was just over */
		end(t, error, sentence);
}

static bool take_worker(struct trial *t);

static void on_died(void *context, const struct replica_end *replica_end)
{
	struct trial *t = context;
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;

	t->replica = NULL;
	/* From outside: that says nothing of the image. */
	if (replica_end->cause == REPLICA_KILLED && ++t->n_killed < MAX_KILLED && take_worker(t))
		return;
	crash_tell(t->deployment, 0, NULL, replica_end);
	if (replica_end->cause == REPLICA_TIMEOUT)
		buffer_printf(&sentence, "a constructor or create() did not return within %u s (--create-timeout)",
			      t->deployment->deploy->create_timeout_ms / 1000);
	else
		buffer_printf(&sentence, "the worker that loaded it for a trial %s", replica_end->how);
	end(t, 1, sentence.data);
}

static void on_line(void *context, int level, const char *text, size_t size)
{
	struct trial *t = context;
	struct deploy *d = t->deployment->deploy;

	d->cb.line(d->cb.context, t->deployment->name, 0, level, text, size);
}

static const struct replica_callbacks trying = {
	.up = on_up,
	.loaded = on_loaded,
	.line = on_line,
	.died = on_died,
};

static bool take_worker(struct trial *t)
{
	bool up;

	if (spare_take_blank(t->deployment->deploy, t->release->runtime, &trying, t, &t->replica, &up) < 0)
		return false;
	if (up)
		on_up(t);
	return true;
}

/* It dies of it, and tells where it hung. */
static void on_time_over(uv_timer_t *timer)
{
	struct trial *t = timer->data;

	replica_interrupt(t->replica, "a constructor or create() did not return");
}

/* Of the first replica: what would migrate there will elsewhere. */
static char *state_path(const struct deployment *d, const struct release *release)
{
	return release->signature->state.size ? xasprintf("%s/state/%s/0", d->deploy->state_dir, d->name) : NULL;
}

struct trial *trial_start(struct deployment *d, const struct release *release, trial_done_fn done,
			  void *context)
{
	struct deploy *deploy = d->deploy;
	struct trial *t = xcalloc(1, sizeof(*t));

	t->deployment = d;
	t->release = release;
	t->done = done;
	t->context = context;
	t->state = state_path(d, release);
	if (!take_worker(t)) {
		free(t->state);
		free(t);
		return NULL;
	}
	uv_timer_init(deploy->hub->loop, &t->timer);
	t->timer.data = t;
	uv_timer_start(&t->timer, on_time_over, deploy->create_timeout_ms, 0);
	t->next = deploy->trials;
	deploy->trials = t;
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
