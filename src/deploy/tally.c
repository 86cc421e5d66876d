/* SPDX-License-Identifier: MIT */

/*
 * Tally
 *
 * What each of two generations did while both ran. What their calls took where they ran tells of
 * their places as well as of their code: a shadow stands behind everybody, a canary gets less
 * company in its batches and less of the caches. So it is only shown, and verdict.c measures the two
 * against each other.
 */

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "deploy/companion.h"
#include "deploy/internal.h"

#define AGAIN_NS (20 * NS_PER_S) /* it is measured */

static int compare_times(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t median(const struct companion_times *t)
{
	unsigned n = t->n < COMPANION_TIMES ? (unsigned)t->n : COMPANION_TIMES;
	uint64_t sorted[COMPANION_TIMES];

	if (!n)
		return 0;
	memcpy(sorted, t->ns, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare_times);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static struct companion_side side(const struct companion_count *c)
{
	return (struct companion_side){ .requests = c->requests, .failures = c->failures, .calls = c->calls,
					.median_ns = median(&c->times) };
}

void companion_get(const struct deployment *d, struct companion_facts *ret)
{
	const struct companion *c = &d->companion;

	*ret = (struct companion_facts){ .kind = c->kind };
	if (c->kind == COMPANION_NONE)
		return;
	ret->generation = c->release.generation;
	ret->serving_generation = d->current.generation;
	ret->share = c->share;
	ret->waiting = c->n_waiting;
	for (unsigned i = 0; i < c->n_seats; i++) {
		const struct replica *r = c->seats[i].serving;

		if (!r)
			continue;
		ret->pids[ret->n_pids++] = replica_pid(r);
		ret->in_flight += replica_in_flight(r);
	}
	ret->diverted = c->n_diverted;
	ret->serving = side(&c->counts[0]);
	ret->beside = side(&c->counts[1]);
	ret->judged = c->judged_ns != 0;
	ret->verdict = c->verdict;
	if (c->shadow)
		shadow_get(c->shadow, ret);
}

static void add_time(struct companion_count *n, uint64_t ns)
{
	n->times.ns[n->times.n++ % COMPANION_TIMES] = ns;
}

/* A call that began before either of the two came is of neither, and may have another signature. */
static bool is_of_the_two(const struct batch *b)
{
	const struct deployment *d = b->deployment;

	return companion_has(b->seat) ? b->replica == b->seat->serving : b->generation == d->current.generation;
}

/* The two differ in batching, as one gets more company than the other: calls of one request tell. */
void companion_saw(struct batch *b, enum infer_status status, uint64_t compute_ns)
{
	struct companion *c = &b->deployment->companion;
	struct companion_count *n = &c->counts[companion_has(b->seat)];
	unsigned answered = 0;

	if (!c->serves || !is_of_the_two(b))
		return;
	for (unsigned i = 0; i < b->n_members; i++)
		answered += b->members[i].request != NULL;
	n->calls++;
	n->requests += answered;
	n->failures += status == INFER_OK ? 0 : answered;
	if (status == INFER_OK && c->shadow)
		shadow_offer(c->shadow, b, compute_ns);
	else if (status == INFER_OK && b->n_members == 1)
		add_time(n, compute_ns);
}

/* Its times are those of the very same calls. */
void companion_saw_copy(struct deployment *d, unsigned n_requests, bool failed, uint64_t of_ns, uint64_t copy_ns)
{
	struct companion_count *n = &d->companion.counts[1];

	n->calls++;
	n->requests += n_requests;
	n->failures += failed ? n_requests : 0;
	if (failed)
		return;
	add_time(&d->companion.counts[0], of_ns);
	add_time(n, copy_ns);
}

void companion_tell_of(struct deployment *d, const struct companion_facts *facts, enum companion_news news,
		       const char *reason)
{
	struct deploy *deploy = d->deploy;

	if (!deploy->closing)
		deploy->cb.companion(deploy->cb.context, d->name, facts, news, reason);
}

void companion_tell(struct deployment *d, enum companion_news news, const char *reason)
{
	struct companion_facts facts;

	companion_get(d, &facts);
	companion_tell_of(d, &facts, news, reason);
}

/* Judging */

static uint64_t calls_of(const struct companion *c)
{
	return c->counts[0].calls + c->counts[1].calls;
}

/* As long as clients ask; and the verdict of a save comes first. */
void companion_on_look(uv_timer_t *timer)
{
	struct seat *s = timer->data;
	const struct companion *c = &s->deployment->companion;

	if (calls_of(c) != c->judged_calls && (!c->judged_ns || clock_ns() - c->judged_ns >= AGAIN_NS))
		verdicts_judge_companion(s->deployment);
}

void companion_judged(struct deployment *d, const struct verdict *v)
{
	struct companion *c = &d->companion;
	bool is_news = v && (!c->judged_ns || v->kind != c->verdict.kind);

	if (!v)
		return;
	c->verdict = *v;
	c->judged_ns = clock_ns();
	c->judged_calls = calls_of(c);
	if (is_news)
		companion_tell(d, COMPANION_JUDGED, NULL);
}
