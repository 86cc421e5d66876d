/* SPDX-License-Identifier: MIT */

/*
 * Rollout
 *
 * A wish becomes the current release:
 *
 *	a worker serves:  TRIAL (in a spare worker) → LOADING (beside the old image, in the
 *	                  serving worker) → SWAPPING (the swap's message is in the ring)
 *	none serves:      STARTING: a new worker loads it and takes over; it is its own trial
 *
 * The books change at the moment the swap is written into the ring: what was submitted before
 * runs on the old image and is labelled so, what comes after on the new one. Only a worker
 * that dies between that and its answer makes it undone.
 *
 * A worker that dies otherwise is started again with the current release, at once the first
 * time, then with a back-off; requests wait in the queue meanwhile.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "deploy/internal.h"
#include "infer/signature.h"

#define STOP_GRACE_MS 5000
#define LOAD_TIME_MS 60000
#define SWAP_TIME_MS 2000 /* then the author is told what it waits for */
#define HOPELESS 4 /* failed starts in a row, after which nobody is kept waiting */
#define STEADY_NS (10 * NS_PER_S) /* a worker that lived that long starts with a clean record */
#define BACKOFF_MS 100
#define MAX_BACKOFF_MS 5000

static const struct replica_callbacks serving, incoming, retired;
static void start_wish(struct deployment *d);
static int start_worker(struct deployment *d);
static void restart(struct deployment *d);

static void release_fini(struct release *r)
{
	if (r->path)
		unlink(r->path);
	free(r->path);
	signature_unref(r->signature);
	*r = (struct release){ .path = NULL };
}

static void finish_wish(struct deployment *d, struct wish *wish, enum rollout_outcome outcome,
			const char *sentence, uint64_t pause_ns)
{
	const struct rollout_result result = {
		.outcome = outcome,
		.sentence = sentence,
		.generation = d->handle.generation,
		.from = outcome == ROLLOUT_SWAPPED ? d->before : d->handle.generation,
		.trial_ns = d->trial_ns,
		.swap_ns = clock_ns() - d->stage_ns,
		.pause_ns = pause_ns,
	};
	rollout_done_fn done = wish->done;
	void *context = wish->context;

	if (outcome != ROLLOUT_SWAPPED)
		release_fini(&wish->release);
	*wish = (struct wish){ .done = NULL };
	done(context, &result);
}

/* A fresh process takes over; the one that could not unmap ends after its last call. */
static void replace_if_due(struct deployment *d)
{
	if (!d->must_replace || d->stage != ROLLOUT_IDLE || !d->serving || d->incoming || d->removed ||
	    d->deploy->closing)
		return;
	d->died_ns = 0;
	start_worker(d);
}

/* The rollout that was under way has ended. */
static void end_rollout(struct deployment *d, enum rollout_outcome outcome, const char *sentence,
			uint64_t pause_ns)
{
	d->stage = ROLLOUT_IDLE;
	finish_wish(d, &d->wish, outcome, sentence, pause_ns);
	if (d->stage == ROLLOUT_IDLE && d->has_next_wish) {
		d->wish = d->next_wish;
		d->has_next_wish = false;
		start_wish(d);
	}
	replace_if_due(d);
	if (d->stage == ROLLOUT_IDLE)
		trial_prepare_spare(d->deploy);
}

/* The number that @release gets should it come to serve. */
static uint32_t number_of(const struct deployment *d, const struct release *release)
{
	return release->generation ? release->generation : d->last_generation + 1;
}

/* From here on @release is what new calls are for. */
static void switch_books(struct deployment *d, struct release *release)
{
	struct signature *before = d->handle.signature;

	d->before = d->handle.generation;
	d->old = d->current;
	d->current = *release;
	d->current.generation = number_of(d, release);
	if (d->current.generation > d->last_generation)
		d->last_generation = d->current.generation;
	*release = (struct release){ .path = NULL };
	d->handle.signature = signature_ref(d->current.signature);
	d->handle.generation = d->current.generation;
	d->handle.state = HANDLE_READY;
	d->handle.reason = NULL;
	signature_unref(before);
	deployment_refuse_strangers(d);
}

static void switch_back(struct deployment *d)
{
	d->wish.release = d->current; /* its number is spent: calls were answered with it */
	d->current = d->old;
	d->old = (struct release){ .path = NULL };
	signature_unref(d->handle.signature);
	d->handle.signature = signature_ref(d->current.signature);
	d->handle.generation = d->current.generation;
	deployment_refuse_strangers(d);
}

/* A worker starts */

static void on_patience_over(uv_timer_t *timer);

static void be_patient(struct deployment *d)
{
	uv_update_time(d->deploy->hub->loop);
	uv_timer_start(&d->patience, on_patience_over, LOAD_TIME_MS, 0);
}

static int start_worker(struct deployment *d)
{
	be_patient(d);
	return replica_start(d->deploy->hub,
			     &(struct replica_options){ .worker = d->deploy->worker,
							.name = d->name,
							.arena = &d->arena,
							.epoch = ++d->epoch,
							.callbacks = &incoming,
							.context = d },
			     &d->incoming);
}

static const struct release *incoming_release(const struct deployment *d)
{
	return d->stage == ROLLOUT_STARTING ? &d->wish.release : &d->current;
}

static void on_incoming_up(void *context)
{
	struct deployment *d = context;

	if (incoming_release(d)->path)
		replica_load(d->incoming, incoming_release(d)->path);
}

static void start_failed(struct deployment *d, const char *sentence)
{
	if (d->stage == ROLLOUT_STARTING) {
		end_rollout(d, ROLLOUT_TRIAL_FAILED, sentence, 0);
		if (d->current.path && !d->serving && !d->incoming)
			restart(d);
		return;
	}
	if (++d->n_failures >= HOPELESS)
		deployment_refuse_all(d, INFER_UNAVAILABLE, sentence);
	restart(d);
}

/*
 * create() hangs (then a new worker may get further than one that has the old image beside),
 * or infer() does, and the swap behind it with it.
 */
static void on_patience_over(uv_timer_t *timer)
{
	struct deployment *d = timer->data;
	struct deploy *deploy = d->deploy;

	if (d->incoming) {
		d->incoming = replica_abandon(d->incoming);
		start_failed(d, "create() did not return within 60 s");
	} else if (d->stage == ROLLOUT_SWAPPING && d->serving) {
		deploy->cb.swap_waits(deploy->cb.context, d->name, d->current.generation,
				      replica_pid(d->serving));
	} else if (d->stage == ROLLOUT_LOADING) {
		d->stage = ROLLOUT_STARTING;
		if (start_worker(d) < 0)
			end_rollout(d, ROLLOUT_REFUSED, "no worker could be started", 0);
	}
}

static void on_incoming_loaded(void *context, int error, const char *sentence)
{
	struct deployment *d = context;

	if (error) {
		d->incoming = replica_abandon(d->incoming);
		start_failed(d, sentence);
		return;
	}
	replica_swap(d->incoming, number_of(d, incoming_release(d)));
}

static void on_incoming_swapped(void *context, uint64_t pause_ns)
{
	struct deployment *d = context;
	struct deploy *deploy = d->deploy;
	struct replica *before = d->serving;

	uv_timer_stop(&d->patience);
	d->serving = d->incoming;
	d->incoming = NULL;
	d->must_replace = false;
	d->started_ns = clock_ns();
	replica_set_callbacks(d->serving, &serving, d);
	if (before) {
		deployment_ref(d);
		replica_set_callbacks(before, &retired, d);
		replica_stop(before, STOP_GRACE_MS);
	}
	if (d->stage == ROLLOUT_STARTING) {
		switch_books(d, &d->wish.release);
		release_fini(&d->old);
		end_rollout(d, ROLLOUT_SWAPPED, NULL, pause_ns);
		return;
	}
	d->stats.restarts++;
	deploy->cb.worker_replaced(deploy->cb.context, d->name, d->current.generation,
				   replica_pid(d->serving), d->died_ns ? d->started_ns - d->died_ns : 0);
	trial_prepare_spare(deploy);
}

static void on_incoming_died(void *context, pid_t pid, const char *how)
{
	struct deployment *d = context;
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;

	(void)pid;
	d->incoming = NULL;
	buffer_printf(&sentence, "the worker that loaded it %s", how);
	start_failed(d, sentence.data);
}

static void on_line(void *context, int level, const char *text, size_t size)
{
	struct deployment *d = context;
	struct deploy *deploy = d->deploy;

	deploy->cb.line(deploy->cb.context, d->name, d->handle.generation, level, text, size);
}

static const struct replica_callbacks incoming = {
	.up = on_incoming_up,
	.loaded = on_incoming_loaded,
	.swapped = on_incoming_swapped,
	.line = on_line,
	.died = on_incoming_died,
};

/* A worker serves */

static void on_serving_loaded(void *context, int error, const char *sentence)
{
	struct deployment *d = context;

	if (d->stage != ROLLOUT_LOADING || d->removed)
		return;
	uv_timer_stop(&d->patience);
	if (error) {
		end_rollout(d, ROLLOUT_REFUSED, sentence, 0);
		return;
	}
	d->stage = ROLLOUT_SWAPPING;
	batch_dispatch(d); /* what waits was sent to the generation before */
	switch_books(d, &d->wish.release);
	replica_swap(d->serving, d->current.generation);
	uv_timer_start(&d->patience, on_patience_over, SWAP_TIME_MS, 0);
}

static void on_serving_swapped(void *context, uint64_t pause_ns)
{
	struct deployment *d = context;

	uv_timer_stop(&d->patience);
	if (d->stage == ROLLOUT_SWAPPING)
		end_rollout(d, ROLLOUT_SWAPPED, NULL, pause_ns);
}

static void on_serving_unloaded(void *context, bool unmapped)
{
	struct deployment *d = context;
	struct deploy *deploy = d->deploy;
	uint32_t generation = d->old.generation;

	release_fini(&d->old);
	if (unmapped)
		return;
	deploy->cb.not_unmapped(deploy->cb.context, d->name, generation);
	d->must_replace = true;
	replace_if_due(d);
}

static void on_done(void *context, void *call)
{
	(void)context;
	batch_done(call);
}

static uint64_t on_need(void *context, void *call, uint64_t size)
{
	(void)context;
	return batch_grant(call, size);
}

static void on_lost(void *context, void *call, bool begun)
{
	(void)context;
	batch_lost(call, begun);
}

static unsigned backoff_ms(const struct deployment *d)
{
	unsigned doublings = d->n_failures < 2 ? 0 : d->n_failures < 10 ? d->n_failures - 2 : 8;
	unsigned ms = BACKOFF_MS << doublings;

	if (d->n_failures < 2)
		return 0;
	return ms < MAX_BACKOFF_MS ? ms : MAX_BACKOFF_MS;
}

static void on_restart_due(uv_timer_t *timer)
{
	struct deployment *d = timer->data;

	if (d->serving || d->incoming || d->removed || d->deploy->closing)
		return;
	if (start_worker(d) < 0) {
		d->n_failures++;
		restart(d);
	}
}

static void restart(struct deployment *d)
{
	if (d->removed || d->deploy->closing || !d->current.path)
		return;
	uv_update_time(d->deploy->hub->loop);
	uv_timer_start(&d->restart, on_restart_due, backoff_ms(d), 0);
}

static void on_serving_died(void *context, pid_t pid, const char *how)
{
	struct deployment *d = context;
	struct deploy *deploy = d->deploy;
	enum rollout_stage stage = d->stage;
	uint64_t now = clock_ns();

	d->serving = NULL;
	d->died_ns = now;
	d->n_failures = now - d->started_ns < STEADY_NS ? d->n_failures + 1 : 0;
	if (deploy->closing)
		return;
	deploy->cb.worker_died(deploy->cb.context, d->name, d->handle.generation, pid, how);
	if (stage == ROLLOUT_SWAPPING)
		switch_back(d);
	if (stage == ROLLOUT_SWAPPING || stage == ROLLOUT_LOADING)
		end_rollout(d, ROLLOUT_REFUSED, "the serving worker died while it was taking the image over", 0);
	release_fini(&d->old);
	if (d->removed) {
		deployment_refuse_all(d, INFER_UNAVAILABLE, "the deployment was removed");
		deployment_settle_removal(d);
	} else if (d->stage != ROLLOUT_STARTING && !d->incoming) {
		restart(d);
	}
}

static const struct replica_callbacks serving = {
	.loaded = on_serving_loaded,
	.swapped = on_serving_swapped,
	.unloaded = on_serving_unloaded,
	.done = on_done,
	.need = on_need,
	.line = on_line,
	.lost = on_lost,
	.died = on_serving_died,
};

/* A worker retires: its calls end, then its process. */

static void on_retired_notice(void *context, bool unmapped)
{
	(void)context, (void)unmapped;
}

static void on_retired_died(void *context, pid_t pid, const char *how)
{
	(void)pid, (void)how;
	deployment_unref(context);
}

static const struct replica_callbacks retired = {
	.unloaded = on_retired_notice,
	.done = on_done,
	.need = on_need,
	.line = on_line,
	.lost = on_lost,
	.died = on_retired_died,
};

/* Wishes */

/* No worker serves: a new one loads the wish, and is its trial. */
static void start_first(struct deployment *d)
{
	d->stage = ROLLOUT_STARTING;
	uv_timer_stop(&d->restart);
	d->incoming = replica_abandon(d->incoming);
	if (start_worker(d) < 0)
		end_rollout(d, ROLLOUT_REFUSED, "no worker could be started", 0);
}

static void on_tried(void *context, int error, const char *sentence)
{
	struct deployment *d = context;

	d->trial = NULL;
	d->trial_ns = clock_ns() - d->stage_ns;
	if (error) {
		end_rollout(d, ROLLOUT_TRIAL_FAILED, sentence, 0);
		return;
	}
	d->stage_ns = clock_ns();
	if (d->serving) {
		d->stage = ROLLOUT_LOADING;
		be_patient(d);
		replica_load(d->serving, d->wish.release.path);
	} else {
		start_first(d);
	}
}

static void start_wish(struct deployment *d)
{
	d->stage_ns = clock_ns();
	d->trial_ns = 0;
	d->incoming = replica_abandon(d->incoming); /* it would bring the release before this one */
	if (d->serving) {
		d->stage = ROLLOUT_TRIAL;
		d->trial = trial_start(d->deploy, d->name, d->wish.release.path, on_tried, d);
		if (!d->trial)
			end_rollout(d, ROLLOUT_REFUSED, "no worker could be started for the trial", 0);
		return;
	}
	start_first(d);
}

/* Every mapping gets a path and an inode of its own: the loader knows images by both. */
static char *copy_image(struct deployment *d, const struct rollout *r, int *ret_error)
{
	_cleanup_free_ char *directory = path_join(d->deploy->generations_dir, d->name);
	static unsigned serial;
	char *path = xasprintf("%s/%06u-%u.so", directory, d->last_generation + 1, ++serial);

	*ret_error = file_make_directories(directory);
	if (*ret_error == 0)
		*ret_error = file_copy(r->image, path);
	if (*ret_error == 0)
		return path;
	free(path);
	return NULL;
}

static void refuse_copy(struct deployment *d, const struct wish *wish, int error)
{
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;

	buffer_printf(&sentence, "cannot copy the image to %s: %s", d->deploy->generations_dir, strerror(-error));
	wish->done(wish->context, &(struct rollout_result){ .outcome = ROLLOUT_REFUSED,
							    .sentence = sentence.data,
							    .from = d->handle.generation });
}

void deployment_roll(struct deployment *d, const struct rollout *r, rollout_done_fn done, void *context)
{
	struct wish wish = { .release = { .generation = r->generation }, .done = done, .context = context };
	int error;

	wish.release.path = copy_image(d, r, &error);
	if (!wish.release.path) {
		refuse_copy(d, &wish, error);
		return;
	}
	wish.release.signature = signature_ref(r->signature);
	if (d->has_next_wish)
		finish_wish(d, &d->next_wish, ROLLOUT_SUPERSEDED, "a newer save came", 0);
	if (d->stage == ROLLOUT_IDLE) {
		d->wish = wish;
		start_wish(d);
		return;
	}
	d->next_wish = wish;
	d->has_next_wish = true;
	if (d->stage == ROLLOUT_TRIAL || d->stage == ROLLOUT_STARTING) {
		d->trial = trial_cancel(d->trial);
		d->incoming = replica_abandon(d->incoming);
		end_rollout(d, ROLLOUT_SUPERSEDED, "a newer save came", 0);
	}
}

/* Endings */

void deployment_stop_rolling(struct deployment *d)
{
	bool starting = d->stage == ROLLOUT_STARTING;

	d->trial = trial_cancel(d->trial);
	if (starting)
		d->incoming = replica_abandon(d->incoming); /* it carries the wish */
	if (d->has_next_wish)
		release_fini(&d->next_wish.release);
	d->has_next_wish = false;
	release_fini(&d->wish.release);
	d->stage = ROLLOUT_IDLE;
	if (starting && !d->serving)
		restart(d);
}

void rollout_on_removed(struct deployment *d)
{
	deployment_stop_rolling(d);
	uv_timer_stop(&d->restart);
	d->incoming = replica_abandon(d->incoming);
	if (d->serving) {
		deployment_ref(d);
		replica_set_callbacks(d->serving, &retired, d);
		replica_stop(d->serving, STOP_GRACE_MS);
		d->serving = NULL;
	}
	release_fini(&d->old);
	release_fini(&d->current);
}

void rollout_close(struct deployment *d)
{
	deployment_stop_rolling(d);
	uv_timer_stop(&d->restart);
	d->incoming = replica_abandon(d->incoming);
	if (!uv_is_closing((uv_handle_t *)&d->delay))
		deployment_close_timers(d);
	if (d->serving)
		replica_stop(d->serving, STOP_GRACE_MS);
}
