/* SPDX-License-Identifier: MIT */

/*
 * Retry
 *
 * What becomes of the calls of a dead worker. One that had not begun waits again. The one that
 * was running
 *
 *	and there is state that it may have changed (not `idempotent`)   500
 *	worker killed from outside                                       once more, where it was
 *	worker crashed, a generation before is there                     once more, on that one
 *	worker crashed, several requests in the call                     each alone, to part them
 *	otherwise, and at the second time                                500
 *
 * When the generation before answers what crashed the current one, the current one is at fault
 * and the deployment falls back. When it dies of it too, the request is; also where that one's
 * companions in the call were answered.
 *
 * The worker that runs them sits apart from the seats, so that others are served meanwhile.
 */

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "deploy/internal.h"
#include "infer/signature.h"
#include "ring/crash.h"

#define MAX_ATTEMPTS 2 /* of a call whose worker was killed from outside */

static const struct replica_callbacks trying_again;
static void start_worker(struct deployment *d);

static unsigned attempts_of(const struct batch *b)
{
	unsigned most = 0;

	for (unsigned i = 0; i < b->n_members; i++)
		if (b->members[i].attempts > most)
			most = b->members[i].attempts;
	return most;
}

static bool has_before(const struct deployment *d, const struct batch *b)
{
	return d->previous.path && b->generation == d->current.generation && d->stage == ROLLOUT_IDLE &&
	       signature_equal(d->previous.signature, b->signature);
}

static void fail(struct batch *b, const struct replica_end *end)
{
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;
	const struct deployment *d = b->deployment;

	buffer_printf(&sentence, "the worker %s while it ran this call", end->how);
	if (end->crash && end->crash->what[0])
		buffer_printf(&sentence, ": it %s", end->crash->what);
	if (b->seat == &d->retry.seat && end->cause == REPLICA_CRASHED)
		buffer_puts(&sentence, "; so did another one: it is this request that does it");
	batch_fail(b, INFER_INTERNAL, buffer_text(&sentence));
}

static void put_back(struct batch *b, bool begun)
{
	struct deployment *d = b->deployment;

	batch_put_back(b, &d->queue, &d->n_waiting, begun);
}

static void try_again(struct batch *b, const struct replica_end *end)
{
	struct deployment *d = b->deployment;

	if (!d->retry.why)
		d->retry.why = xstrdup(end->how);
	batch_put_back(b, &d->retry.queue, &d->retry.n_waiting, true);
	start_worker(d);
}

void retry_on_lost(struct seat *s, struct batch *b, bool begun, const struct replica_end *end)
{
	struct deployment *d = b->deployment;
	bool stateful = b->signature->state.size > 0;
	bool may = !stateful || d->settings.idempotent;

	if (!begun) {
		put_back(b, false);
		return;
	}
	s->told = b->replica == s->serving;
	crash_tell(d, b->generation, b, NULL, end);
	if (!may || d->removed || d->deploy->closing || end->cause == REPLICA_TIMEOUT)
		fail(b, end);
	else if (end->cause == REPLICA_KILLED && attempts_of(b) < MAX_ATTEMPTS)
		put_back(b, true);
	else if (attempts_of(b) > 0 || stateful)
		fail(b, end);
	else if (b->generation != d->current.generation) /* it is on its way out */
		put_back(b, true);
	else if (has_before(d, b) || b->n_members > 1)
		try_again(b, end);
	else
		fail(b, end);
}

/* The worker apart */

/* @d may have fallen back meanwhile: then what serves is what was to be tried. */
static const struct release *release_to_try(const struct deployment *d)
{
	const struct waiting *first = TAILQ_FIRST(&d->retry.queue);

	if (d->previous.path && first && signature_equal(d->previous.signature, first->request->signature))
		return &d->previous;
	return &d->current;
}

static void refuse_all(struct deployment *d, const char *sentence)
{
	struct waiting *w;

	while ((w = TAILQ_FIRST(&d->retry.queue))) {
		TAILQ_REMOVE(&d->retry.queue, w, entry);
		d->retry.n_waiting--;
		deployment_refuse(d, w->request, INFER_INTERNAL, w->since_ns, sentence);
		waiting_free(d->deploy, w);
	}
}

static void on_up(void *context)
{
	struct seat *s = context;
	const struct release *release = release_to_try(s->deployment);

	s->generation = release->generation;
	replica_load(s->incoming, &(struct replica_image){ .path = release->path, .weights = release->weights });
}

static void on_loaded(void *context, int error, const char *sentence)
{
	struct seat *s = context;

	if (error) {
		s->incoming = replica_abandon(s->incoming);
		refuse_all(s->deployment, sentence);
		return;
	}
	s->serving = s->incoming;
	s->incoming = NULL;
	replica_swap(s->serving, s->generation, NULL);
	retry_dispatch(s->deployment);
}

static void on_line(void *context, int level, const char *text, size_t size)
{
	struct seat *s = context;
	struct deployment *d = s->deployment;

	d->deploy->cb.line(d->deploy->cb.context, d->name, s->generation, level, text, size);
}

static void reset(struct deployment *d)
{
	free(d->retry.why);
	d->retry.why = NULL;
	d->retry.any_answered = d->retry.any_died = false;
}

/* Everything that was to be tried has been. */
static void settle(struct deployment *d)
{
	struct seat *s = &d->retry.seat;
	bool at_fault = d->retry.any_answered && !d->retry.any_died && s->generation != d->current.generation;
	_cleanup_free_ char *why = d->retry.why;

	d->retry.why = NULL;
	d->retry.any_answered = d->retry.any_died = false;
	s->serving = replica_abandon(s->serving);
	if (at_fault)
		rollout_fall_back(d, why ? why : "crashed");
}

static void on_done(void *context, void *call)
{
	struct seat *s = context;
	struct deployment *d = s->deployment;

	const bool stale = !d->retry.any_died && s->generation != d->current.generation && !d->handle.stale;

	d->retry.any_answered = true;
	if (stale)
		d->handle.stale = "crashed"; /* this answer says so already */
	batch_done(call);
	if (stale)
		d->handle.stale = NULL;
	retry_dispatch(d);
}

static uint64_t on_need(void *context, void *call, uint64_t size)
{
	(void)context;
	return batch_grant(call, size);
}

static void on_lost(void *context, void *call, bool begun, const struct replica_end *end)
{
	struct batch *b = call;

	(void)context;
	if (begun) {
		b->deployment->retry.any_died |= end->cause == REPLICA_CRASHED;
		fail(b, end);
	} else {
		batch_put_back(b, &b->deployment->retry.queue, &b->deployment->retry.n_waiting, false);
	}
}

static void on_died(void *context, const struct replica_end *end)
{
	struct seat *s = context;
	struct deployment *d = s->deployment;
	bool loaded = s->serving != NULL;

	s->serving = s->incoming = NULL;
	if (d->deploy->closing)
		return;
	if (!loaded)
		refuse_all(d, end->how);
	if (d->retry.n_waiting)
		start_worker(d);
	else if (d->retry.any_answered)
		settle(d);
	else
		reset(d);
}

static const struct replica_callbacks trying_again = {
	.up = on_up,
	.loaded = on_loaded,
	.done = on_done,
	.need = on_need,
	.line = on_line,
	.lost = on_lost,
	.died = on_died,
};

static void start_worker(struct deployment *d)
{
	struct seat *s = &d->retry.seat;
	bool up;

	if (s->serving || s->incoming) {
		retry_dispatch(d);
		return;
	}
	if (spare_take_blank(d->deploy, &trying_again, s, &s->incoming, &up) < 0) {
		refuse_all(d, "the worker died while it ran this call, and no other could be started");
		return;
	}
	replica_attach(s->incoming, &d->arena);
	if (up)
		on_up(s);
}

/* One after the other: what dies must be known. */
void retry_dispatch(struct deployment *d)
{
	struct seat *s = &d->retry.seat;
	struct waiting *w = TAILQ_FIRST(&d->retry.queue);

	if (!s->serving || replica_in_flight(s->serving))
		return;
	if (!w) {
		settle(d);
		return;
	}
	TAILQ_REMOVE(&d->retry.queue, w, entry);
	d->retry.n_waiting--;
	batch_submit_alone(d, s, w);
}

/* Closing: the call that runs ends with its worker, which may outlive all else of @d. */

static void on_closing_done(void *context, void *call)
{
	(void)context;
	batch_done(call);
}

static void on_closing_lost(void *context, void *call, bool begun, const struct replica_end *end)
{
	(void)context, (void)begun;
	fail(call, end);
}

static void on_closing_died(void *context, const struct replica_end *end)
{
	struct seat *s = context;

	(void)end;
	deployment_unref(s->deployment);
}

static const struct replica_callbacks closing = {
	.done = on_closing_done,
	.need = on_need,
	.line = on_line,
	.lost = on_closing_lost,
	.died = on_closing_died,
};

void retry_close(struct deployment *d)
{
	struct seat *s = &d->retry.seat;

	if (s->serving && replica_in_flight(s->serving)) {
		deployment_ref(d);
		replica_set_callbacks(s->serving, &closing, s);
		replica_kill(s->serving);
		s->serving = NULL;
	}
	s->serving = replica_abandon(s->serving);
	s->incoming = replica_abandon(s->incoming);
	refuse_all(d, "the deployment was removed");
	reset(d);
}
