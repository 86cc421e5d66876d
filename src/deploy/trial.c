/* SPDX-License-Identifier: MIT */

/*
 * Trial
 *
 * A new image is first loaded in a worker that serves nobody, so that a constructor or a
 * create() that crashes, hangs or says no costs nothing but that worker; its own check and the
 * taking over of the state, on a copy, are part of it. Then it is run on the golden cases and on what
 * clients asked lately (deploy/proof.h), as far as the gate says so. A worker that came through holds
 * the image, created: it is where a crashed replica goes on, or the next spare.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "deploy/internal.h"
#include "deploy/proof.h"
#include "infer/signature.h"
#include "ring/crash.h"

#define MAX_KILLED 3
#define LOOK_MS 100

struct trial {
	struct trial *next;
	struct deployment *deployment; /* outlives its trial */
	struct replica *replica;
	const struct release *release; /* the wish's: stays until we end */
	char *state;
	bool ended, disturbed;
	unsigned n_killed;
	uv_timer_t timer;
	struct proof_plan plan;
	struct proving *proving;     /* NULL: it isn't loaded yet */
	uint32_t stuck;              /* case that ran when the timer looked */
	uint64_t stuck_since_ns;
	struct proof_summary proof;
	bool has_proof;
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
	t->proving = proving_end(t->proving);
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
	t->done(t->context, &(struct trial_result){ .error = error, .disturbed = t->disturbed, .sentence = sentence,
						    .replica = r, .proof = t->has_proof ? &t->proof : NULL });
}

static void on_up(void *context)
{
	struct trial *t = context;

	struct replica_image image = release_image(t->release);

	image.state = t->state;
	image.trial = true;
	image.serving = t->deployment->current.path;
	image.serving_generation = t->deployment->current.generation;
	replica_load(t->replica, &image);
}

static void on_look(uv_timer_t *timer);

/* Nothing is at fault but the machine, and what isn't proved isn't right. */
static void fail_unproved(struct trial *t, int error)
{
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;

	buffer_printf(&sentence, "the server got no memory to prove it in (%s); save it again once there is some", strerror(error));
	t->disturbed = true;
	end(t, error, buffer_text(&sentence));
}

static void on_loaded(void *context, int error, const char *sentence)
{
	struct trial *t = context;
	int r;

	if (replica_is_stopping(t->replica))
		return; /* its time was just over */
	r = error ? 0 : proving_start(t->deployment, &t->plan, t->replica, &t->proving);
	if (r < 0) {
		fail_unproved(t, -r);
		return;
	}
	if (!t->proving) {
		end(t, error, sentence);
		return;
	}
	t->stuck = 0;
	uv_timer_start(&t->timer, on_look, LOOK_MS, LOOK_MS);
}

static void on_proved(void *context, int error)
{
	struct trial *t = context;
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;

	if (replica_is_stopping(t->replica) || !t->proving)
		return;
	if (error) {
		buffer_printf(&sentence, "the worker of the trial could not run golden cases and requests: %s", strerror(error));
		end(t, error, sentence.data);
		return;
	}
	proving_tell(t->proving);
	proving_read(t->proving, &t->proof);
	t->has_proof = true;
	if (t->proof.n_faults)
		proof_describe(&t->proof, &sentence);
	end(t, t->proof.n_faults ? 1 : 0, sentence.data);
}

/* The worker has died, or hung, in a case of the proof. */
static void blame_case(struct trial *t, const struct replica_end *replica_end, struct buffer *sentence)
{
	_cleanup_buffer_ struct buffer what = BUFFER_NULL;
	uint32_t running = replica_running(t->replica);
	uint64_t took_ns, patience_ns = proving_patience_ns(t->proving, running, &took_ns);

	proving_tell(t->proving);
	t->has_proof = proving_at(t->proving, running, &t->proof, &what);
	crash_tell_call(t->deployment, 0, t->proof.recording ? t->proof.request : NULL, replica_end);
	if (!t->has_proof)
		buffer_printf(sentence, "the worker that was to prove it %s", replica_end->how);
	else if (replica_end->cause == REPLICA_TIMEOUT)
		buffer_printf(sentence, "%s: infer() did not return within %.3g s", buffer_text(&what),
			      (double)patience_ns / NS_PER_S);
	else
		buffer_printf(sentence, "%s: the worker %s", buffer_text(&what), replica_end->how);
	if (replica_end->cause != REPLICA_TIMEOUT && replica_end->crash && replica_end->crash->what[0])
		buffer_printf(sentence, ": it %s", replica_end->crash->what);
	if (t->has_proof && replica_end->cause == REPLICA_TIMEOUT && took_ns)
		buffer_printf(sentence, "; it took %.3g ms when it was recorded", (double)took_ns / NS_PER_MS);
	t->proof.n_faults = t->has_proof;
}

static bool take_worker(struct trial *t);

static void on_died(void *context, const struct replica_end *replica_end)
{
	struct trial *t = context;
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;

	/* From outside: that says nothing of the image. */
	if (replica_end->cause == REPLICA_KILLED && ++t->n_killed < MAX_KILLED) {
		t->replica = NULL;
		t->proving = proving_end(t->proving);
		if (take_worker(t))
			return;
	}
	t->disturbed = replica_end->cause == REPLICA_KILLED;
	if (t->proving) {
		blame_case(t, replica_end, &sentence);
		t->replica = NULL;
		end(t, 1, sentence.data);
		return;
	}
	t->replica = NULL;
	crash_tell(t->deployment, 0, NULL, replica_end);
	if (replica_end->cause == REPLICA_TIMEOUT)
		buffer_printf(&sentence, "a constructor or create() did not return within %" PRIu64 " s (--create-timeout)",
			      spare_patience_ms(t->deployment->deploy, t->release->runtime) / 1000);
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
	.proved = on_proved,
	.line = on_line,
	.died = on_died,
};

static void on_time_over(uv_timer_t *timer);

static bool take_worker(struct trial *t)
{
	bool up;

	if (spare_take_blank(t->deployment->deploy, t->release->runtime, &trying, t, &t->replica, &up) < 0)
		return false;
	uv_timer_start(&t->timer, on_time_over, spare_patience_ms(t->deployment->deploy, t->release->runtime), 0);
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

/* One case after the other has its own time, from when it was first seen to run. */
static void on_look(uv_timer_t *timer)
{
	struct trial *t = timer->data;
	uint32_t running = replica_running(t->replica);
	uint64_t now = clock_ns(), took_ns;

	if (running != t->stuck) {
		t->stuck = running;
		t->stuck_since_ns = now;
	}
	if (running && now - t->stuck_since_ns > proving_patience_ns(t->proving, running, &took_ns))
		replica_interrupt(t->replica, "infer() did not return");
}

/* Of the first replica: what would migrate there will elsewhere. */
static char *state_path(const struct deployment *d, const struct release *release)
{
	return release->signature->state.size ? xasprintf("%s/state/%s/0", d->deploy->state_dir, d->name) : NULL;
}

struct trial *trial_start(struct deployment *d, const struct release *release, const struct proof_plan *plan,
			  trial_done_fn done, void *context)
{
	struct deploy *deploy = d->deploy;
	struct trial *t = xcalloc(1, sizeof(*t));

	t->deployment = d;
	t->release = release;
	t->done = done;
	t->context = context;
	t->state = state_path(d, release);
	t->plan = *plan;
	t->next = deploy->trials;
	deploy->trials = t;
	uv_timer_init(deploy->hub->loop, &t->timer);
	t->timer.data = t;
	if (take_worker(t))
		return t;
	trial_unlink(t);
	return NULL;
}

struct trial *trial_cancel(struct trial *t)
{
	if (t && !t->ended) {
		t->ended = true;
		t->replica = replica_abandon(t->replica);
		trial_unlink(t); /* recordings are held no longer: nobody reads them now */
	}
	return NULL;
}
