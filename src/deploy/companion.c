/* SPDX-License-Identifier: MIT */

/*
 * Companion
 *
 * Its workers have seats of their own, with a release of their own: another copy of the image's file,
 * so that what serves may go through any number of swaps and fall-backs without knowing of it.
 * Whatever ends it, its clients notice nothing: what waits for it goes back to the head of the
 * queue, and what it computes it may finish, for the answer says which generation that was. A
 * swap is done when it has, as no old answer may follow swap.done.
 *
 * What it dies of is tried once more by what serves (retry.c), and says nothing against that.
 */

#include "deploy/companion.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "deploy/internal.h"
#include "infer/signature.h"

#define STOP_GRACE_MS 5000
#define MAX_KILLED 3 /* from outside, after which it is given up */
#define LOOK_MS 1000 /* whether it should be measured (again) */

_Static_assert(sizeof(((struct companion_facts *)0)->pids) == DEPLOY_MAX_REPLICAS * sizeof(pid_t), "room for all");

static const struct replica_callbacks coming, beside, retired;

const char *companion_name(enum companion_kind kind)
{
	return kind == COMPANION_CANARY ? "canary" : "shadow";
}

bool companion_has(const struct seat *s)
{
	const struct seat *seats = s->deployment->companion.seats;

	return s >= seats && s < seats + DEPLOY_MAX_REPLICAS;
}

static bool has_state(const struct signature *s)
{
	return s->state.size > 0;
}

/* Ending */

static void settle(struct companion *c, int error, const char *sentence)
{
	companion_done_fn done = c->done;

	c->done = NULL;
	if (done)
		done(c->done_context, error, sentence);
}

void companion_forget(struct deployment *d, const void *context)
{
	if (d->companion.done_context == context)
		d->companion.done = NULL;
}

/* To the head of the queue, in their order: they came before whoever is there. */
static void give_back(struct deployment *d)
{
	struct companion *c = &d->companion;
	struct waiting *w;

	while ((w = TAILQ_LAST(&c->queue, waiting_list))) {
		TAILQ_REMOVE(&c->queue, w, entry);
		w->place = WAITING_IN_QUEUE;
		TAILQ_INSERT_HEAD(&d->queue, w, entry);
	}
	d->n_waiting += c->n_waiting;
	c->n_waiting = 0;
}

static void leave(struct seat *s, bool at_once)
{
	uv_timer_stop(&s->patience);
	uv_timer_stop(&s->restart);
	s->incoming = replica_abandon(s->incoming);
	if (s->serving) {
		deployment_ref(s->deployment);
		replica_set_callbacks(s->serving, &retired, s);
		replica_stop(s->serving, STOP_GRACE_MS);
	}
	if (s->serving && at_once)
		replica_kill(s->serving);
	s->serving = NULL;
}

void companion_end(struct deployment *d, const char *because)
{
	struct companion *c = &d->companion;
	struct companion_facts facts;

	if (c->kind == COMPANION_NONE)
		return;
	companion_get(d, &facts);
	c->kind = COMPANION_NONE;
	c->serves = false;
	give_back(d);
	verdicts_drop_companion(d);
	while (c->n_seats)
		leave(&c->seats[--c->n_seats], c->shadow != NULL); /* nobody waits for what a shadow computes */
	shadow_end(c->shadow);
	c->shadow = NULL;
	release_fini(&c->release);
	settle(c, ECANCELED, because);
	if (c->told)
		companion_tell_of(d, &facts, COMPANION_ENDED, because);
}

static bool drains(const struct seat *s)
{
	const struct batch *b;

	LIST_FOREACH(b, &s->batches, flying)
		if (b->replica != s->serving && !b->copy)
			return true;
	return false;
}

bool companion_drains(const struct deployment *d)
{
	for (unsigned i = 0; i < DEPLOY_MAX_REPLICAS; i++)
		if (drains(&d->companion.seats[i]))
			return true;
	return false;
}

/* Coming */

static int bring(struct seat *s);

/* A trial's is the first replica's, too. */
static char *state_path(const struct deployment *d)
{
	return !d->companion.release.signature->state.size ? NULL : xasprintf("%s/state/%s/0", d->deploy->state_dir, d->name);
}

static void on_up(void *context)
{
	struct seat *s = context;
	const struct companion *c = &s->deployment->companion;
	struct replica_image image = release_image(&c->release);
	_cleanup_free_ char *state = state_path(s->deployment);

	image.state = state;
	image.trial = true;
	replica_load(s->incoming, &image);
}

static void sit_down(struct seat *s)
{
	struct deployment *d = s->deployment;
	_cleanup_free_ char *state = state_path(d);
	unsigned cpus = (unsigned)CPU_COUNT(&d->deploy->hub->cpus);
	unsigned threads = cpus / (d->settings.num_replicas ? d->settings.num_replicas : 1);

	s->serving = s->incoming;
	s->incoming = NULL;
	s->generation = d->companion.release.generation;
	replica_set_callbacks(s->serving, &beside, s);
	replica_set_name(s->serving, d->name);
	replica_set_limits(s->serving, threads ? threads : 1, d->settings.checkpoint_ms);
	if (d->companion.shadow)
		replica_set_idle(s->serving);
	replica_keep_private(s->serving);
	replica_swap(s->serving, s->generation, state);
}

static void on_loaded(void *context, int error, const char *sentence)
{
	struct seat *s = context;

	uv_timer_stop(&s->patience);
	if (error)
		companion_end(s->deployment, sentence);
	else
		sit_down(s);
}

static void on_patience_over(uv_timer_t *timer)
{
	struct seat *s = timer->data;

	companion_end(s->deployment, "create() did not return in time");
}

static void on_line(void *context, int level, const char *text, size_t size)
{
	struct seat *s = context;
	struct deployment *d = s->deployment;

	d->deploy->cb.line(d->deploy->cb.context, d->name, s->generation, level, text, size);
}

static bool any_serves(const struct companion *c)
{
	for (unsigned i = 0; i < c->n_seats; i++)
		if (c->seats[i].serving)
			return true;
	return false;
}

static void on_died(void *context, const struct replica_end *end)
{
	struct seat *s = context;
	struct companion *c = &s->deployment->companion;
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;

	s->serving = s->incoming = NULL;
	uv_timer_stop(&s->patience);
	if (s->deployment->deploy->closing)
		return;
	seat_tell_died(s, c->release.generation, end);
	c->serves = any_serves(c);
	if (!c->serves)
		give_back(s->deployment);
	if (end->cause == REPLICA_KILLED && ++c->n_killed < MAX_KILLED * c->n_seats && bring(s) == 0)
		return;
	buffer_printf(&sentence, "its worker %s", end->how);
	companion_end(s->deployment, buffer_text(&sentence));
}

static const struct replica_callbacks coming = {
	.up = on_up,
	.loaded = on_loaded,
	.line = on_line,
	.died = on_died,
};

static int bring(struct seat *s)
{
	struct deployment *d = s->deployment;
	bool up;
	int r = spare_take_blank(d->deploy, d->companion.release.runtime, &coming, s, &s->incoming, &up);

	if (r < 0)
		return r;
	replica_attach(s->incoming, d->companion.shadow ? shadow_arena(d->companion.shadow) : &d->arena);
	uv_update_time(d->deploy->hub->loop);
	uv_timer_start(&s->patience, on_patience_over, spare_patience_ms(d->deploy, d->companion.release.runtime), 0);
	if (up)
		on_up(s);
	return 0;
}

/* Beside */

static void on_swapped(void *context, uint64_t pause_ns)
{
	struct seat *s = context;
	struct companion *c = &s->deployment->companion;

	(void)pause_ns;
	c->serves = true;
	if (c->told)
		return;
	c->told = true;
	uv_update_time(s->deployment->deploy->hub->loop);
	uv_timer_start(&s->restart, companion_on_look, LOOK_MS, LOOK_MS);
	settle(c, 0, NULL);
	companion_tell(s->deployment, COMPANION_STARTED, NULL);
}

static void on_done(void *context, void *call)
{
	struct batch *b = call;

	(void)context;
	if (b->copy)
		shadow_done(b);
	else
		batch_done(b);
}

static uint64_t on_need(void *context, void *call, uint64_t size)
{
	struct batch *b = call;

	(void)context;
	return b->copy ? shadow_grant(b, size) : batch_grant(b, size);
}

static void on_lost(void *context, void *call, bool begun, const struct replica_end *end)
{
	struct seat *s = context;
	struct batch *b = call;

	if (!b->copy) {
		retry_on_lost(s, b, begun, end);
		return;
	}
	if (begun) {
		s->told = b->replica == s->serving;
		crash_tell(b->deployment, b->generation, b, end);
	}
	shadow_lost(b);
}

static const struct replica_callbacks beside = {
	.swapped = on_swapped,
	.done = on_done,
	.need = on_need,
	.line = on_line,
	.lost = on_lost,
	.died = on_died,
};

/* Retired: its calls end, then its process. */

static void on_retired_done(void *context, void *call)
{
	struct seat *s = context;

	on_done(s, call);
	rollout_on_swapped(s, 0); /* if that waited for this answer */
}

static void on_retired_died(void *context, const struct replica_end *end)
{
	struct seat *s = context;
	struct deployment *d = s->deployment;

	(void)end;
	if (d->removed) { /* calls that it had not begun wait again, and nobody comes for them */
		deployment_refuse_all(d, INFER_UNAVAILABLE, "the deployment was removed");
		deployment_settle_removal(d);
	} else if (!d->deploy->closing) {
		rollout_on_swapped(s, 0);
	}
	deployment_unref(d);
}

static const struct replica_callbacks retired = {
	.done = on_retired_done,
	.need = on_need,
	.line = on_line,
	.lost = on_lost,
	.died = on_retired_died,
};

/* Starting */

static bool refuse_state(const struct deployment *d, enum companion_kind kind, const struct rollout *r,
			 struct buffer *why)
{
	if (kind == COMPANION_SHADOW)
		return release_fit_rollout(d, r, why) == STATE_MISFIT;
	if (!has_state(d->current.signature) && !has_state(r->signature))
		return false;
	buffer_printf(why,
		      "%s keeps state, and of two generations that answer each would change a state of its own; "
		      "'devserve shadow' lets generation %u compute beside, on a copy that nobody else sees",
		      d->name, r->generation);
	return true;
}

static int check(const struct deployment *d, enum companion_kind kind, const struct rollout *r, struct buffer *why)
{
	if (d->removed || d->deploy->closing || d->handle.state != HANDLE_READY || !d->current.path)
		buffer_printf(why, "no generation of %s serves", d->name);
	else if (kind == COMPANION_CANARY && r->generation == d->current.generation)
		buffer_printf(why, "generation %u is the one that serves: it answers all requests", r->generation);
	else if (!signature_equal(d->current.signature, r->signature))
		buffer_printf(why,
			      "generation %u has other inputs or outputs than generation %u, which serves: no "
			      "request is for both",
			      r->generation, d->current.generation);
	else if (!refuse_state(d, kind, r, why))
		return 0;
	return -EINVAL;
}

static void begin(struct deployment *d, enum companion_kind kind, double share, const struct rollout *r)
{
	struct companion *c = &d->companion;

	c->kind = kind;
	c->share = share;
	c->told = false;
	c->n_offered = c->n_diverted = 0;
	memset(c->counts, 0, sizeof(c->counts));
	c->window_ns = 0;
	c->judged_ns = c->judged_calls = 0;
	c->n_killed = 0;
	c->release.generation = r->generation;
	c->release.signature = signature_ref(r->signature);
	c->release.image = r->image_hash;
	c->release.weights = r->weights ? xstrdup(r->weights) : NULL;
	c->release.runtime = r->runtime ? xstrdup(r->runtime) : NULL;
	deployment_expect(d, r->signature);
}

/* A canary's workers have no more to do than the others. */
static unsigned seats_for(const struct deployment *d)
{
	double fair = d->companion.share * d->settings.num_replicas;
	unsigned n = (unsigned)fair + ((unsigned)fair < fair);

	return d->companion.shadow || n < 1 ? 1 : n < DEPLOY_MAX_REPLICAS ? n : DEPLOY_MAX_REPLICAS;
}

int companion_start(struct deployment *d, enum companion_kind kind, double share, const struct rollout *r,
		    companion_done_fn done, void *context, struct buffer *why)
{
	struct companion *c = &d->companion;
	struct release files = { .path = NULL };
	int error = check(d, kind, r, why);

	if (error < 0)
		return error;
	error = release_copy(d, r, &files);
	if (error < 0) {
		buffer_printf(why, "cannot copy the image of generation %u: %s", r->generation, strerror(-error));
		release_fini(&files);
		return error;
	}
	companion_end(d, "another one took its place");
	c->release = files;
	begin(d, kind, share, r);
	error = kind == COMPANION_SHADOW ? shadow_new(d, &c->shadow) : 0;
	c->n_seats = error == 0 ? seats_for(d) : 0;
	for (unsigned i = 0; i < c->n_seats && error == 0; i++)
		error = bring(&c->seats[i]);
	if (error == 0) {
		c->done = done;
		c->done_context = context;
		return 0;
	}
	buffer_printf(why, "no worker could be started for it: %s", strerror(-error));
	companion_end(d, why->data);
	return error;
}

bool companion_find(const struct deployment *d, uint32_t generation, struct rollout *ret)
{
	const struct release *r = generation == d->current.generation ? &d->current : &d->previous;

	if (!generation || !r->path || r->generation != generation)
		return false;
	*ret = (struct rollout){ .image = r->path, .weights = r->weights, .device = r->device, .runtime = r->runtime,
				 .image_hash = r->image, .signature = r->signature, .generation = generation };
	return true;
}

void companion_init(struct deployment *d)
{
	TAILQ_INIT(&d->companion.queue);
	for (unsigned i = 0; i < DEPLOY_MAX_REPLICAS; i++)
		seat_init(&d->companion.seats[i], d, i);
}
