/* SPDX-License-Identifier: MIT */

/*
 * Rollout
 *
 * A wish becomes the current release:
 *
 *	TRIAL     a worker that serves nobody loads it, and runs what was recorded
 *	LOADING   every seat has it loaded: its serving worker beside the old image, or a fresh one
 *	SWAPPING  the books change and every seat gets the swap's message, all in one go
 *
 * The books change at the moment the swaps are written into the rings: what was submitted
 * before runs on the old image and is labelled so, what comes after on the new one, in every
 * replica. So no old answer follows swap.done. A worker that dies on the way is replaced by one
 * that has the new image (the trial's, to begin with); the rollout goes on.
 *
 * What served before is kept as `previous`: what crashes is tried there once more (retry.c),
 * and falls back to it when it is at fault.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "deploy/internal.h"
#include "golden/cases.h"
#include "infer/signature.h"

static void start_wish(struct deployment *d);

/* It doesn't come to serve. */
static void forget_wish(struct wish *w)
{
	release_fini(&w->release);
	w->accepted = accepted_close(w->accepted);
}

static void wish_fini(struct wish *w)
{
	forget_wish(w);
	buffer_fini(&w->state);
	buffer_fini(&w->unwritten);
	w->golden = golden_cases_unref(w->golden);
}

static void finish_wish(struct deployment *d, struct wish *wish, enum rollout_outcome outcome,
			const char *sentence)
{
	_cleanup_buffer_ struct buffer state = wish->state, unwritten = wish->unwritten;
	const struct rollout_result result = {
		.outcome = outcome,
		.sentence = sentence,
		.no_device = outcome == ROLLOUT_TRIAL_FAILED && d->trial_error == ENODEV,
		.disturbed = outcome == ROLLOUT_TRIAL_FAILED && d->trial_disturbed,
		.generation = d->handle.generation,
		.from = outcome == ROLLOUT_SWAPPED ? d->before : d->handle.generation,
		.before = outcome == ROLLOUT_SWAPPED ? d->previous.signature : NULL,
		.proof = d->has_proof && wish == &d->wish ? &d->proof : NULL,
		.trial_ns = d->trial_ns,
		.swap_ns = clock_ns() - d->stage_ns,
		.pause_ns = d->pause_ns,
		.state = outcome == ROLLOUT_SWAPPED && state.size ? state.data : NULL,
		.unwritten = unwritten.data,
	};
	rollout_done_fn done = wish->done;
	void *context = wish->context;

	if (outcome != ROLLOUT_SWAPPED)
		forget_wish(wish);
	golden_cases_unref(wish->golden);
	*wish = (struct wish){ .done = NULL };
	done(context, &result);
}

static void replace_those_due(struct deployment *d)
{
	for (unsigned i = 0; i < d->n_seats && d->stage == ROLLOUT_IDLE; i++)
		if (d->seats[i].must_replace)
			seat_replace(&d->seats[i], NULL);
}

/* The rollout that was under way has ended. */
static void end_rollout(struct deployment *d, enum rollout_outcome outcome, const char *sentence)
{
	d->stage = ROLLOUT_IDLE;
	if (outcome != ROLLOUT_SWAPPED)
		for (unsigned i = 0; i < d->n_seats; i++)
			seat_drop(&d->seats[i]);
	if (d->tried && outcome == ROLLOUT_SWAPPED) {
		spare_adopt(d, d->tried);
	} else if (d->tried) {
		spare_rest(d->deploy, d->tried);
	}
	d->tried = NULL;
	finish_wish(d, &d->wish, outcome, sentence);
	if (d->stage == ROLLOUT_IDLE && d->has_next_wish) {
		d->wish = d->next_wish;
		d->has_next_wish = false;
		start_wish(d);
	}
	replace_those_due(d);
	if (d->stage == ROLLOUT_IDLE)
		spare_prepare(d->deploy);
}

uint32_t rollout_number(const struct deployment *d)
{
	return d->wish.release.generation ? d->wish.release.generation : d->last_generation + 1;
}

static void show_current(struct deployment *d)
{
	struct signature *before = d->handle.signature;

	d->handle.signature = signature_ref(d->current.signature);
	d->handle.generation = d->current.generation;
	d->handle.state = HANDLE_READY;
	d->handle.reason = NULL;
	d->handle.no_device = false;
	signature_unref(before);
	deployment_refuse_strangers(d);
}

/* What serves again has shown what it does when it served; then its answers were others. */
static struct proof_plan plan_of(const struct deployment *d)
{
	const struct wish *w = &d->wish;
	bool again = w->release.generation && d->current.path;
	const char *weights = w->release.weights ? w->release.weights : "";

	return (struct proof_plan){
		.signature = w->release.signature,
		.golden = w->settings.gate <= GATE_GOLDEN && !again ? w->golden : NULL,
		.recordings = w->settings.gate == GATE_REPLAY && !again,
		.accept = w->accept,
		.accepted = w->accepted,
		.uncompared = strcmp(weights, d->current.weights ? d->current.weights : "") != 0,
		.tolerance = { w->settings.rtol, w->settings.atol },
		.budget_ns = d->deploy->proof_ns,
	};
}

/* Whether the wish has shown that it answers as what serves now. */
static bool is_proved(const struct deployment *d)
{
	const struct proof_plan plan = plan_of(d);

	return plan.recordings && !plan.accept && !plan.uncompared;
}

/* What served before, and serves again, answers as it did then. */
static void tell_answers(struct deployment *d)
{
	uint32_t number = rollout_number(d);

	if (is_proved(d))
		answers_follow(d, number, d->handle.generation);
	else if (!answers_are_known(d, number))
		answers_differ(d, number);
}

/* From here on the wish is what new calls are for. */
static void switch_books(struct deployment *d)
{
	tell_answers(d);
	companion_end(d, "another generation came to serve");
	d->before = d->handle.generation;
	if (d->wish.accepted)
		accepted_take(d->wish.accepted, d->wish.golden, &d->wish.unwritten);
	d->wish.accepted = accepted_close(d->wish.accepted);
	release_fini(&d->previous);
	d->previous = d->current;
	d->current = d->wish.release;
	d->current.generation = rollout_number(d);
	if (d->current.generation > d->last_generation)
		d->last_generation = d->current.generation;
	d->wish.release = (struct release){ .path = NULL };
	d->settings = d->wish.settings;
	deadline_settings_changed(d);
	spare_drop(d);
	show_current(d);
}

/* As many seats as the settings ask for. */
static void fill_seats(struct deployment *d)
{
	while (d->n_seats > d->settings.num_replicas)
		seat_retire(&d->seats[--d->n_seats]);
	d->n_seats = d->settings.num_replicas;
	for (unsigned i = 0; i < d->n_seats; i++)
		seat_restart(&d->seats[i]);
}

/* Every seat has loaded it. */
static void commit(struct deployment *d)
{
	d->stage = ROLLOUT_SWAPPING;
	d->pause_ns = 0;
	lanes_dispatch(d); /* what waits was sent to the generation before */
	switch_books(d);
	for (unsigned i = 0; i < d->n_seats; i++)
		if (d->seats[i].stage == SEAT_LOADED)
			seat_commit(&d->seats[i]);
}

void rollout_on_loaded(struct seat *s, int error, const char *sentence)
{
	struct deployment *d = s->deployment;

	if (d->stage != ROLLOUT_LOADING || d->removed)
		return;
	if (error) {
		end_rollout(d, deployment_serves(d) ? ROLLOUT_REFUSED : ROLLOUT_TRIAL_FAILED, sentence);
		return;
	}
	for (unsigned i = 0; i < d->n_seats; i++)
		if (d->seats[i].stage != SEAT_LOADED)
			return;
	commit(d);
}

void rollout_on_swapped(struct seat *s, uint64_t pause_ns)
{
	struct deployment *d = s->deployment;

	if (pause_ns > d->pause_ns)
		d->pause_ns = pause_ns;
	if (d->stage != ROLLOUT_SWAPPING)
		return;
	for (unsigned i = 0; i < d->n_seats; i++)
		if (d->seats[i].stage == SEAT_SWAPPING)
			return;
	if (companion_drains(d))
		return;
	end_rollout(d, ROLLOUT_SWAPPED, NULL);
	fill_seats(d);
}

static void load_everywhere(struct deployment *d)
{
	d->stage = ROLLOUT_LOADING;
	d->stage_ns = clock_ns();
	if (!d->n_seats)
		d->n_seats = 1; /* the others follow when the first one serves */
	for (unsigned i = 0; i < d->n_seats; i++) {
		if (seat_load(&d->seats[i]) < 0) {
			end_rollout(d, ROLLOUT_REFUSED, "no worker could be started");
			return;
		}
	}
	for (unsigned i = 0; i < d->n_seats; i++) {
		if (d->seats[i].stage == SEAT_LOADED) {
			rollout_on_loaded(&d->seats[i], 0, NULL);
			return;
		}
	}
}

/* Killed while it waited for the seats to load: the next spare will be started. */
static void on_tried_died(void *context, const struct replica_end *end)
{
	struct deployment *d = context;

	(void)end;
	d->tried = NULL;
}

static const struct replica_callbacks tried = {
	.died = on_tried_died,
};

static void on_tried(void *context, const struct trial_result *result)
{
	struct deployment *d = context;

	d->trial = NULL;
	d->trial_ns = clock_ns() - d->stage_ns;
	d->trial_error = result->error;
	d->trial_disturbed = result->disturbed;
	d->tried = result->replica;
	if (result->proof) {
		d->proof = *result->proof;
		d->has_proof = true;
	}
	if (result->replica)
		replica_set_callbacks(result->replica, &tried, d);
	if (result->error)
		end_rollout(d, ROLLOUT_TRIAL_FAILED, result->sentence);
	else
		load_everywhere(d);
}

/* Asked when it begins: what serves then is what leaves the state. */
static bool state_is_kept(struct deployment *d)
{
	return release_fit(d, &d->wish.release, &d->wish.state) != STATE_MISFIT;
}

static void start_wish(struct deployment *d)
{
	const struct proof_plan plan = plan_of(d);

	verdicts_drop(d);
	d->stage_ns = clock_ns();
	d->trial_ns = 0;
	d->trial_error = 0;
	d->trial_disturbed = false;
	d->has_proof = false;
	d->stage = ROLLOUT_TRIAL;
	if (!state_is_kept(d)) {
		_cleanup_free_ char *why = buffer_steal(&d->wish.state);

		end_rollout(d, ROLLOUT_REFUSED, why);
		return;
	}
	if (d->wish.settings.gate == GATE_OFF) {
		load_everywhere(d);
		return;
	}
	if (d->wish.accepted)
		accepted_open(d->wish.accepted, d->wish.golden);
	d->trial = trial_start(d, &d->wish.release, &plan, on_tried, d);
	if (!d->trial)
		end_rollout(d, ROLLOUT_REFUSED, "no worker could be started for the trial");
}

/* Before it was under way. */
static void refuse(struct deployment *d, const struct wish *wish, const char *sentence)
{
	wish->done(wish->context, &(struct rollout_result){ .outcome = ROLLOUT_REFUSED,
							    .sentence = sentence,
							    .generation = d->handle.generation,
							    .from = d->handle.generation });
}

static void refuse_copy(struct deployment *d, const struct wish *wish, int error)
{
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;

	buffer_printf(&sentence, "cannot copy the image to %s: %s", d->deploy->generations_dir, strerror(-error));
	refuse(d, wish, sentence.data);
}

/* What serves now may have made another layout of the state. */
static bool may_fall_back(const struct deployment *d)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;

	return d->stage == ROLLOUT_IDLE && d->previous.path && !d->removed &&
	       release_fit(d, &d->previous, &why) != STATE_MISFIT;
}

static void put_newer(struct buffer *b, const struct wish *newer)
{
	if (newer->release.generation)
		buffer_printf(b, "generation %" PRIu32 " is to serve again", newer->release.generation);
	else
		buffer_puts(b, "a newer save came");
}

void deployment_roll(struct deployment *d, const struct rollout *r, rollout_done_fn done, void *context)
{
	struct wish wish = { .release = { .generation = r->generation }, .settings = r->settings,
			     .fresh = r->fresh, .accept = r->accept, .done = done, .context = context };
	_cleanup_buffer_ struct buffer newer = BUFFER_NULL;
	int error;

	put_newer(&newer, &wish);
	if (!r->settings.num_replicas)
		wish.settings = DEPLOYMENT_SETTINGS_DEFAULT;
	wish.release.signature = signature_ref(r->signature);
	error = release_copy(d, r, &wish.release);
	if (error < 0) {
		release_fini(&wish.release);
		refuse_copy(d, &wish, error);
		return;
	}
	wish.release.image = r->image_hash;
	wish.accepted = r->accept ? xasprintf("%s.accepted", wish.release.path) : NULL;
	wish.golden = golden_cases_ref(r->golden);
	deployment_expect(d, r->signature);
	wish.release.weights = r->weights ? xstrdup(r->weights) : NULL;
	wish.release.runtime = r->runtime ? xstrdup(r->runtime) : NULL;
	if (d->has_next_wish)
		finish_wish(d, &d->next_wish, ROLLOUT_SUPERSEDED, buffer_text(&newer));
	if (d->stage == ROLLOUT_IDLE) {
		d->wish = wish;
		start_wish(d);
		return;
	}
	d->next_wish = wish;
	d->has_next_wish = true;
	if (d->stage == ROLLOUT_TRIAL || (d->stage == ROLLOUT_LOADING && !deployment_serves(d))) {
		d->trial = trial_cancel(d->trial);
		end_rollout(d, ROLLOUT_SUPERSEDED, buffer_text(&newer));
	}
}

bool rollout_fall_back(struct deployment *d, const char *why)
{
	struct deploy *deploy = d->deploy;
	uint32_t from = d->current.generation;
	struct release bad = d->current;

	if (!may_fall_back(d))
		return false;
	companion_end(d, "the generation that served crashed, and the one before serves again");
	answers_differ(d, from);
	verdicts_drop(d);
	d->current = d->previous;
	d->previous = (struct release){ .path = NULL };
	spare_drop(d);
	show_current(d);
	for (unsigned i = 0; i < d->n_seats; i++) {
		struct seat *s = &d->seats[i];

		s->n_failures = s->n_idle_deaths = 0;
		s->incoming = replica_abandon(s->incoming); /* it would bring what crashed */
		s->incoming_has = s->heir = false;
		if (s->serving)
			seat_replace(s, NULL);
		else
			seat_restart(s);
	}
	deploy->cb.fell_back(deploy->cb.context, d->name, from, d->current.generation, why);
	release_fini(&bad);
	spare_prepare(deploy);
	return true;
}

/* Endings */

void deployment_stop_rolling(struct deployment *d)
{
	d->trial = trial_cancel(d->trial);
	if (d->tried)
		spare_rest(d->deploy, d->tried);
	d->tried = NULL;
	if (d->has_next_wish)
		wish_fini(&d->next_wish);
	d->has_next_wish = false;
	d->stage = ROLLOUT_IDLE;
	for (unsigned i = 0; i < d->n_seats; i++)
		seat_drop(&d->seats[i]);
	wish_fini(&d->wish);
}

void rollout_on_removed(struct deployment *d)
{
	deployment_stop_rolling(d);
	companion_end(d, "the deployment was removed");
	retry_close(d);
	spare_drop(d);
	while (d->n_seats)
		seat_retire(&d->seats[--d->n_seats]);
	release_fini(&d->previous);
	release_fini(&d->current);
}

void rollout_close(struct deployment *d)
{
	deployment_stop_rolling(d);
	companion_end(d, "the deployment was removed");
	retry_close(d);
	spare_drop(d);
	if (!uv_is_closing((uv_handle_t *)&d->delay))
		deployment_close_timers(d);
	while (d->n_seats)
		seat_retire(&d->seats[--d->n_seats]);
}
