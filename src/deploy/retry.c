/* SPDX-License-Identifier: MIT */

/*
 * Retry
 *
 * What becomes of the calls of a dead worker. One that had not begun waits again. The one that
 * was running
 *
 *	and there is state that it may have changed (not `idempotent`)   500
 *	worker killed from outside                                       once more, where it was
 *	a sanitizer found something                                      500: it is asked for that
 *	worker crashed, a generation before is there                     once more, on that one
 *	worker crashed, several requests in the call                     each alone, to part them
 *	otherwise, and at the second time                                500
 *
 * When the generation before answers what crashed the current one, the current one is at fault
 * and the deployment falls back. When it dies of it too, the request is; also where that one's
 * companions in the call were answered. What a canary dies of, the current one is asked.
 *
 * So calls are tried in rounds, those that one generation died of in each: what is found out in a
 * round says something of that generation alone, and another one may die meanwhile.
 *
 * The worker that runs them sits apart from the seats, so that others are served meanwhile. A
 * save may come to serve in that time: it is not to blame, and what still waits here is its.
 */

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "deploy/internal.h"
#include "infer/signature.h"
#include "ring/crash.h"

#define MAX_ATTEMPTS 2 /* of a call whose worker was killed from outside */

static const struct replica_callbacks trying_again;
static void next_round(struct deployment *d);
static void on_patience_over(uv_timer_t *timer);
static void on_up(void *context);

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
	return d->previous.path && !d->current.runtime && !d->previous.runtime &&
	       b->generation == d->current.generation && d->stage == ROLLOUT_IDLE &&
	       signature_equal(d->previous.signature, b->signature);
}

static void fail(struct batch *b, const struct replica_end *end)
{
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;
	const struct deployment *d = b->deployment;

	if (end->report)
		buffer_printf(&sentence, "while it ran this call the worker %s", end->how);
	else
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

	batch_put_back(b, begun);
	deployment_refuse_strangers(d); /* it may have been for the signature of another generation */
}

static void remember_why(struct retry *r, uint32_t generation, const char *how)
{
	if (r->why_of == generation)
		return;
	free(r->why);
	r->why = xstrdup(how);
	r->why_of = generation;
}

static void try_again(struct batch *b, const struct replica_end *end)
{
	struct deployment *d = b->deployment;

	if (b->generation == d->current.generation)
		remember_why(&d->retry, b->generation, end->how);
	batch_put_apart(b, b->generation, true);
	if (d->retry.blamed)
		retry_dispatch(d);
	else
		next_round(d);
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
	crash_tell(d, b->generation, b, end);
	if (!may || d->removed || d->deploy->closing || end->cause == REPLICA_TIMEOUT)
		fail(b, end);
	else if (end->cause == REPLICA_KILLED && attempts_of(b) < MAX_ATTEMPTS)
		put_back(b, true);
	else if (attempts_of(b) > 0 || stateful || end->report)
		fail(b, end);
	else if (companion_has(s)) /* by what serves, each alone */
		try_again(b, end);
	else if (b->generation != d->current.generation) /* it is on its way out */
		put_back(b, true);
	else if (has_before(d, b) || b->n_members > 1)
		try_again(b, end);
	else
		fail(b, end);
}

/* Rounds */

/* The first that waits in this one. */
static struct waiting *first_to_try(const struct deployment *d)
{
	struct waiting *w;

	TAILQ_FOREACH(w, &d->retry.queue, entry)
		if (w->blamed == d->retry.blamed)
			return w;
	return NULL;
}

static void refuse_round(struct deployment *d, const char *sentence)
{
	struct waiting *w;

	while ((w = first_to_try(d))) {
		TAILQ_REMOVE(&d->retry.queue, w, entry);
		d->retry.n_waiting--;
		deployment_refuse(d, w->request, INFER_INTERNAL, w->since_ns, sentence);
		waiting_free(d->deploy, w);
	}
}

static void reset(struct deployment *d)
{
	d->retry.signature = signature_unref(d->retry.signature);
	if (d->retry.why_of == d->retry.blamed)
		d->retry.why_of = 0;
	d->retry.blamed = 0;
	d->retry.any_answered = d->retry.any_died = false;
}

/* Everything that was to be tried in this one has been. */
static void settle(struct deployment *d)
{
	struct seat *s = &d->retry.seat;
	bool at_fault = d->retry.any_answered && !d->retry.any_died && s->generation != d->retry.blamed;

	s->serving = replica_abandon(s->serving);
	if (at_fault && d->current.generation == d->retry.blamed)
		rollout_fall_back(d, d->retry.why_of == d->retry.blamed ? d->retry.why : "crashed");
	reset(d);
	next_round(d);
}

/* No worker tries them. */
static void give_up(struct deployment *d, const char *sentence)
{
	struct seat *s = &d->retry.seat;

	uv_timer_stop(&s->patience);
	s->incoming = replica_abandon(s->incoming);
	refuse_round(d, sentence);
	reset(d);
	next_round(d);
}

/* The worker apart */

static const struct release *release_to_try(const struct deployment *d)
{
	const struct waiting *first = first_to_try(d);

	if (d->current.generation == d->retry.blamed && d->previous.path && !d->current.runtime &&
	    !d->previous.runtime && first && signature_equal(d->previous.signature, first->request->signature))
		return &d->previous;
	return &d->current; /* each alone, or by what serves meanwhile */
}

static void start_worker(struct deployment *d)
{
	struct seat *s = &d->retry.seat;
	bool up;

	if (spare_take_blank(d->deploy, release_to_try(d)->runtime, &trying_again, s, &s->incoming, &up) < 0) {
		give_up(d, "the worker died while it ran this call, and no other could be started");
		return;
	}
	replica_attach(s->incoming, &d->arena);
	uv_update_time(d->deploy->hub->loop);
	uv_timer_start(&s->patience, on_patience_over, spare_patience_ms(d->deploy, release_to_try(d)->runtime), 0);
	if (up)
		on_up(s);
}

static void next_round(struct deployment *d)
{
	const struct waiting *first = TAILQ_FIRST(&d->retry.queue);

	if (!first)
		return;
	d->retry.blamed = first->blamed;
	start_worker(d);
}

/* create() hangs, of an image that came through its trial once. */
static void on_patience_over(uv_timer_t *timer)
{
	struct seat *s = timer->data;

	give_up(s->deployment, "the worker died while it ran this call, and another one did not start in time");
}

static void on_up(void *context)
{
	struct seat *s = context;
	const struct release *release = release_to_try(s->deployment);
	struct replica_image image;

	if (!release->runtime != !replica_runtime(s->incoming)) { /* a swap came between */
		s->incoming = replica_abandon(s->incoming);
		start_worker(s->deployment);
		return;
	}
	s->generation = release->generation;
	signature_unref(s->deployment->retry.signature);
	s->deployment->retry.signature = signature_ref(release->signature);
	image = release_image(release);
	replica_load(s->incoming, &image);
}

static void on_loaded(void *context, int error, const char *sentence)
{
	struct seat *s = context;

	if (error) {
		give_up(s->deployment, sentence);
		return;
	}
	uv_timer_stop(&s->patience);
	s->serving = s->incoming;
	s->incoming = NULL;
	replica_set_name(s->serving, s->deployment->name);
	replica_swap(s->serving, s->generation, NULL);
	retry_dispatch(s->deployment);
}

static void on_line(void *context, int level, const char *text, size_t size)
{
	struct seat *s = context;
	struct deployment *d = s->deployment;

	d->deploy->cb.line(d->deploy->cb.context, d->name, s->generation, level, text, size);
}

static void on_done(void *context, void *call)
{
	struct seat *s = context;
	struct deployment *d = s->deployment;
	bool stale = !d->retry.any_died && s->generation != d->current.generation && !d->handle.stale;

	d->retry.any_answered |= !batch_was_skipped(call);
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
		batch_put_apart(b, b->deployment->retry.blamed, false);
	}
}

static void on_died(void *context, const struct replica_end *end)
{
	struct seat *s = context;
	struct deployment *d = s->deployment;
	bool loaded = s->serving != NULL;

	uv_timer_stop(&s->patience);
	s->serving = s->incoming = NULL;
	if (d->deploy->closing)
		return;
	if (!loaded)
		refuse_round(d, end->how);
	if (first_to_try(d))
		start_worker(d);
	else
		settle(d);
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

/* The next that is made for what the worker has; the others are answered. */
static struct waiting *next_to_try(struct deployment *d)
{
	struct waiting *w;

	while ((w = first_to_try(d))) {
		TAILQ_REMOVE(&d->retry.queue, w, entry);
		d->retry.n_waiting--;
		if (signature_equal(w->request->signature, d->retry.signature))
			return w;
		deployment_refuse(d, w->request, INFER_UNAVAILABLE, w->since_ns, DEPLOYMENT_CHANGED);
		waiting_free(d->deploy, w);
	}
	return NULL;
}

/* One after the other: what dies must be known. */
void retry_dispatch(struct deployment *d)
{
	struct seat *s = &d->retry.seat;
	struct waiting *w;

	if (!s->serving || replica_in_flight(s->serving))
		return;
	w = next_to_try(d);
	if (w)
		batch_submit_alone(d, s, w);
	else
		settle(d);
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
	uv_timer_stop(&s->patience);
	s->serving = replica_abandon(s->serving);
	s->incoming = replica_abandon(s->incoming);
	while (d->retry.n_waiting) {
		d->retry.blamed = TAILQ_FIRST(&d->retry.queue)->blamed;
		refuse_round(d, "the deployment was removed");
	}
	reset(d);
}
