/* SPDX-License-Identifier: MIT */

/*
 * Shadow
 *
 * Copies of the calls that have been answered, run once more by another generation, whose answers
 * are held against those that were given and reach nobody. It must be able to do no harm:
 *
 *	memory   it works in an arena of its own: what it writes past its outputs hits nobody's tensors.
 *	         All copies, and the answers that are kept for them, may take an eighth of
 *	         --max-memory, there are none while half of that is in use, and who finds no memory gets theirs.
 *	time     its worker runs where nobody else wants to (SCHED_IDLE), has two calls at most,
 *	         and SHADOW_MAX copies wait at most. What copying and comparing takes of the others' time
 *	         is bounded, too: a part in TIME_SHARE. What finds no place, or no time, is dropped and counted.
 *	state    a copy of the last checkpoint, of which none is made again. It has not seen what came
 *	         between, nor what is dropped: then answers are compared by their shapes alone.
 *
 * What is large is copied, and compared, by a thread of libuv's; the call that was answered stays
 * meanwhile, as it does for a client that still takes its outputs.
 */

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "deploy/difference.h"
#include "deploy/internal.h"
#include "infer/signature.h"
#include "infer/tensor.h"
#include "ring/call.h"

#define SHADOW_MAX 16      /* copies */
#define IN_ADVANCE 2       /* of them, that run or are being compared */
#define SMALL (16 * 1024)  /* bytes that are copied, and compared, at once */
#define TIME_SHARE 64      /* of the time, one part in so many is for copying and comparing; */
#define MOST_SAVED_NS (100 * (int64_t)NS_PER_MS) /* what isn't used is saved up to that */
#define BYTES_PER_NS 2     /* of memory, which it shares with others though not the processor */
#define WAKING_NS 8000     /* what a copy takes beside: rings, wake-ups, what is copied and compared at once */

enum copy_stage { COPY_UNUSED, COPY_COPYING, COPY_READY, COPY_RUNNING, COPY_COMPARING };

struct shadow_copy {
	struct shadow *shadow;
	enum copy_stage stage;
	struct batch *of, *call; /* `of` NULL: it was given back, and nothing will be compared */
	struct call_tensor from[DEVSERVE_MAX_TENSORS]; /* inputs of `of` */
	uint64_t inputs, cost; /* bytes; all that is kept for it */
	uint64_t of_compute_ns, compute_ns;
	uint64_t took_ns; /* copying, or comparing */
	unsigned n_requests;
	struct difference difference;
	uv_work_t work;
	TAILQ_ENTRY(shadow_copy) entry; /* in `unused` or `ready` */
};

TAILQ_HEAD(copy_list, shadow_copy);

struct shadow {
	struct deployment *deployment;
	struct arena arena;
	struct copy_list unused, ready;
	unsigned n_used, n_running; /* running or being compared */
	uint64_t held;              /* bytes */
	bool ended;
	bool values; /* are compared */
	int64_t saved_ns;
	uint64_t earned_ns; /* when it was last looked what has been saved up */
	uint64_t n_compared, n_differing, n_dropped;
	struct shadow_copy copies[SHADOW_MAX];
};

int shadow_new(struct deployment *d, struct shadow **ret)
{
	struct shadow *s = xcalloc(1, sizeof(*s));
	int r = arena_init(&s->arena, d->name, &d->deploy->budget);

	if (r < 0) {
		free(s);
		return r;
	}
	s->deployment = d;
	s->arena.keeps = d->companion.release.signature->cuda;
	s->saved_ns = MOST_SAVED_NS;
	s->earned_ns = clock_ns();
	s->values = !d->companion.release.signature->state.size;
	TAILQ_INIT(&s->unused);
	TAILQ_INIT(&s->ready);
	for (unsigned i = 0; i < SHADOW_MAX; i++) {
		s->copies[i].shadow = s;
		s->copies[i].work.data = &s->copies[i];
		TAILQ_INSERT_TAIL(&s->unused, &s->copies[i], entry);
	}
	*ret = s;
	return 0;
}

static void free_when_done(struct shadow *s)
{
	if (!s->ended || s->n_used)
		return;
	arena_fini(&s->arena);
	free(s);
}

static void drop(struct shadow_copy *c)
{
	struct shadow *s = c->shadow;

	batch_drop_user(c->call);
	if (c->of)
		batch_drop_user(c->of);
	c->call = c->of = NULL;
	c->stage = COPY_UNUSED;
	s->held -= c->cost;
	s->n_used--;
	TAILQ_INSERT_HEAD(&s->unused, c, entry);
	free_when_done(s);
}

void shadow_end(struct shadow *s)
{
	struct shadow_copy *c;

	if (!s)
		return;
	s->n_used++; /* until here */
	s->ended = true;
	while ((c = TAILQ_FIRST(&s->ready))) {
		TAILQ_REMOVE(&s->ready, c, entry);
		drop(c);
	}
	s->n_used--;
	free_when_done(s);
}

struct arena *shadow_arena(struct shadow *s)
{
	return &s->arena;
}

void shadow_get(const struct shadow *s, struct companion_facts *ret)
{
	ret->waiting = s->n_used - s->n_running;
	ret->compared = s->n_compared;
	ret->differing = s->n_differing;
	ret->dropped = s->n_dropped;
	ret->values = s->values;
}

void shadow_trim(struct shadow *s)
{
	if (s && s->arena.dirty)
		arena_trim(&s->arena);
}

/* Giving back */

static void give_back(struct shadow_copy *c)
{
	if (c->stage == COPY_READY) {
		TAILQ_REMOVE(&c->shadow->ready, c, entry);
		c->shadow->n_dropped++;
		drop(c);
	} else if (c->stage == COPY_RUNNING && c->of) {
		batch_drop_user(c->of);
		c->of = NULL;
	}
}

void shadow_press(void *deploy)
{
	const struct deploy *d = deploy;
	const struct deployment *at;

	LIST_FOREACH(at, &d->deployments, entry)
		for (unsigned i = 0; i < SHADOW_MAX && at->companion.shadow; i++)
			give_back(&at->companion.shadow->copies[i]);
}

/* Copying */

static uint64_t sum_of_outputs(const struct batch *b)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < b->signature->n_outputs; i++)
		sum += b->outputs[i].size;
	return sum;
}

static bool has_time(struct shadow *s, uint64_t now)
{
	s->saved_ns += (int64_t)((now - s->earned_ns) / TIME_SHARE);
	if (s->saved_ns > MOST_SAVED_NS)
		s->saved_ns = MOST_SAVED_NS;
	s->earned_ns = now;
	return s->saved_ns > 0;
}

/* What else wants the processor meanwhile is no cost of ours. */
static uint64_t thread_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static bool has_room_for(const struct shadow *s, uint64_t cost)
{
	const struct arena_budget *budget = s->arena.budget;

	return s->held + cost <= budget->limit / 8 && budget->used <= budget->limit / 2;
}

static void copy_inputs(struct shadow_copy *c)
{
	uint64_t at = batch_inputs_at(c->call);

	for (uint32_t i = 0; i < c->call->signature->n_inputs; i++) {
		memcpy(c->call->arena->base + at, c->of->arena->base + c->from[i].offset, c->from[i].size);
		at += align64(c->from[i].size);
	}
}

static void on_copy(uv_work_t *work)
{
	struct shadow_copy *c = work->data;
	uint64_t since = thread_ns();

	copy_inputs(c);
	c->took_ns = thread_ns() - since;
}

static void be_ready(struct shadow_copy *c)
{
	if (c->shadow->ended) {
		drop(c);
		return;
	}
	c->stage = COPY_READY;
	TAILQ_INSERT_TAIL(&c->shadow->ready, c, entry);
}

static void on_copied(uv_work_t *work, int status)
{
	struct shadow_copy *c = work->data;

	(void)status; /* nobody cancels it */
	c->shadow->saved_ns -= (int64_t)c->took_ns;
	be_ready(c);
}

static struct shadow_copy *take_place(struct shadow *s, const struct batch *of)
{
	struct shadow_copy *c = TAILQ_FIRST(&s->unused);
	uint64_t inputs = 0;

	if (!c || !batch_is_whole(of))
		return NULL;
	batch_inputs(of, c->from);
	for (uint32_t i = 0; i < of->signature->n_inputs; i++)
		inputs += c->from[i].size;
	c->inputs = inputs;
	c->cost = 2 * (inputs + sum_of_outputs(of));
	if (!has_room_for(s, c->cost))
		return NULL;
	c->call = batch_copy(of, c, &s->arena, s->deployment->companion.release.signature);
	return c->call ? c : NULL;
}

void shadow_offer(struct shadow *s, struct batch *of, uint64_t compute_ns)
{
	uint64_t now = clock_ns();
	struct shadow_copy *c = has_time(s, now) ? take_place(s, of) : NULL;

	if (!c) {
		s->n_dropped++;
		return;
	}
	TAILQ_REMOVE(&s->unused, c, entry);
	s->n_used++;
	s->held += c->cost;
	c->of = of;
	c->of_compute_ns = compute_ns;
	c->n_requests = of->n_members;
	batch_keep(of);
	c->stage = COPY_COPYING;
	s->saved_ns -= WAKING_NS + (int64_t)(c->cost / BYTES_PER_NS);
	if (c->inputs > SMALL) {
		uv_queue_work(s->deployment->deploy->hub->loop, &c->work, on_copy, on_copied);
		return;
	}
	copy_inputs(c);
	be_ready(c);
}

bool shadow_dispatch(struct deployment *d)
{
	struct shadow *s = d->companion.shadow;
	struct seat *seat = &d->companion.seats[0];
	struct shadow_copy *c;
	bool any = false;

	while (d->companion.serves && s->n_running < IN_ADVANCE && replica_room(seat->serving) &&
	       (c = TAILQ_FIRST(&s->ready))) {
		TAILQ_REMOVE(&s->ready, c, entry);
		s->n_running++;
		c->stage = COPY_RUNNING;
		batch_launch(c->call, seat);
		any = true;
	}
	return any;
}

/* Comparing */

static bool is_power_of_ten(uint64_t n)
{
	while (n && n % 10 == 0)
		n /= 10;
	return n == 1;
}

static void count(struct shadow_copy *c)
{
	struct shadow *s = c->shadow;
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;

	companion_saw_copy(s->deployment, c->n_requests, c->difference.kind == DIFFERENCE_ERROR, c->of_compute_ns,
			   c->compute_ns);
	s->n_compared++;
	if (c->difference.kind == DIFFERENCE_NONE || !is_power_of_ten(++s->n_differing))
		return;
	difference_describe(&c->difference, c->of, c->call, &sentence);
	companion_tell(s->deployment, COMPANION_DIFFERS, sentence.data);
}

static void conclude(struct shadow_copy *c)
{
	c->shadow->n_running--;
	if (!c->shadow->ended)
		count(c);
	drop(c);
}

static void on_compare(uv_work_t *work)
{
	struct shadow_copy *c = work->data;
	uint64_t since = thread_ns();

	difference_measure(c->of, c->call, c->shadow->values, &c->difference);
	c->took_ns = thread_ns() - since;
}

static void on_compared(uv_work_t *work, int status)
{
	struct shadow_copy *c = work->data;

	(void)status; /* nobody cancels it */
	c->shadow->saved_ns -= (int64_t)c->took_ns;
	conclude(c);
}

static void compare_answers(struct shadow_copy *c)
{
	c->stage = COPY_COMPARING;
	if (c->shadow->values && sum_of_outputs(c->of) > SMALL) {
		uv_queue_work(c->shadow->deployment->deploy->hub->loop, &c->work, on_compare, on_compared);
		return;
	}
	difference_measure(c->of, c->call, c->shadow->values, &c->difference);
	conclude(c);
}

/* It ran, or was going to, and nothing is known of it. */
static void forget(struct shadow_copy *c)
{
	c->shadow->n_running--;
	c->shadow->n_dropped++;
	drop(c);
}

void shadow_done(struct batch *b)
{
	struct shadow_copy *c = b->copy;
	const struct call *call = (const struct call *)(b->arena->base + b->block);
	uint64_t elapsed = clock_ns() - b->submitted_ns;

	c->compute_ns = call->compute_ns < elapsed ? call->compute_ns : elapsed;
	LIST_REMOVE(b, flying);
	if (!c->of) {
		forget(c);
		return;
	}
	c->difference = (struct difference){ .kind = DIFFERENCE_NONE };
	if (call->status < 0)
		c->difference.kind = DIFFERENCE_ERROR;
	else if (!outputs_read(b, call))
		c->difference.kind = DIFFERENCE_NONSENSE;
	if (c->difference.kind == DIFFERENCE_NONE)
		compare_answers(c);
	else
		conclude(c);
}

void shadow_lost(struct batch *b)
{
	LIST_REMOVE(b, flying);
	forget(b->copy);
}

uint64_t shadow_grant(struct batch *b, uint64_t size)
{
	struct shadow_copy *c = b->copy;
	uint64_t offset = has_room_for(c->shadow, size) ? batch_grant(b, size) : 0;

	if (!offset)
		return 0;
	c->cost += size;
	c->shadow->held += size;
	return offset;
}
