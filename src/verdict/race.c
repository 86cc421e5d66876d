/* SPDX-License-Identifier: MIT */

/*
 * A turn is one measurement: as many calls as take TURN_NS, or one. A round is four turns (round.h), or as
 * many rows of turns, of one mapping of each image; which of them begins is chance, in the round after it is the other, and
 * which input comes when is chance too. Mappings take turns so that each of the old ones meets each of
 * the new ones.
 *
 * Of what a side shows in a round the quickest counts. What disturbs a call only ever makes it
 * slower, and comes in bursts; both sides have as many tries. Where calls are so long that there are few
 * rounds, it is their number that makes the interval wide: there A, B counts by itself, and B, A as the
 * next, which leaves each side one row of turns to be quick in.
 *
 * A call that reads more than the caches near the processor hold finds there what the other side
 * left, and is quicker with each call in a row. Who comes second in a row of two would win by a
 * third. How many calls that takes is found out first, and as many go before each such turn, untimed;
 * there are more turns in a row then, that it be worth it.
 *
 * Where somebody else had the processor meanwhile is known from the scheduler's own count. Such turns
 * count only for a side that has no others in this round. A long call has the waiting taken off;
 * a round of short calls counts as disturbed instead.
 *
 * To look at the figures and stop when they please is how to find what isn't there. So there are
 * only LOOKS looks, at times that are fixed in advance, and each has an interval of 99 % beyond a
 * margin (verdict.h): three chances instead of one, none of which is a good one.
 */

#include "verdict/race.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "verdict/chance.h"
#include "verdict/waiting.h"

#define TURN_NS (50 * NS_PER_US)
#define MAX_ROUNDS 4096
#define LOOKS 3              /* after a quarter of the budget, a half, and all */
#define JUDGING_NS (30 * NS_PER_MS)
#define ROUNDS_A_LANE 1      /* or fewer lanes run */
#define LEAST_ROUNDS 6       /* of an input, or there are fewer turns in a row */
#define FEW_ROUNDS 30        /* of an input: halves count */
#define MAX_HEAT 8           /* calls before a turn */
#define HEATS 0.9            /* of a call's time the quickest takes: it was cold */
#define COLD 2               /* as long takes a call that heats, roughly */
#define ROW_SHARE 32         /* of the budget: no more calls to find that out */
#define CROWDED 0.5          /* of a round waited: somebody else has this processor */

/* Who runs what. */
struct mapping {
	bool old;
	unsigned lane, course;
};

struct running {
	const struct race *race;
	uint64_t started_ns;
	unsigned n_lanes;                    /* that run */
	unsigned calls[ROUND_MAX_COURSES];   /* a turn */
	unsigned turns[ROUND_MAX_COURSES];   /* in a row */
	unsigned heat[ROUND_MAX_COURSES];    /* calls before them */
	uint64_t each_ns[ROUND_MAX_COURSES]; /* a call, roughly */
	bool halves[ROUND_MAX_COURSES];      /* of rounds count */
	unsigned order[ROUND_MAX_COURSES];   /* of the inputs, in this pass */
	unsigned n_begun;                    /* rounds */
	unsigned n_pass;
	bool old_first;                      /* in this pass */
	struct mapping last;                 /* that ran */
	struct chance chance;
	struct waiting waiting;
	uint64_t waited_ns;                  /* in this round */
	cpu_set_t cpus;                      /* we may use */
	struct round *rounds;
	size_t n;
};

/* The processor */

static void bind(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void bind_here(void)
{
	int cpu = sched_getcpu();

	if (cpu >= 0)
		bind((unsigned)cpu);
}

static void move_on(const struct running *g)
{
	int cpu = sched_getcpu();

	for (int i = 1; i <= CPU_SETSIZE && cpu >= 0; i++) {
		unsigned next = (unsigned)(cpu + i) % CPU_SETSIZE;

		if (CPU_ISSET(next, &g->cpus)) {
			bind(next);
			return;
		}
	}
}

/* Rounds */

/* What one side has shown in a round. */
struct side {
	double quickest_ns;          /* call that nothing came between; 0: there was none */
	double waited_ns, raw_ns;    /* of others: the sum without what they waited, and all with it */
	unsigned n_waited, n_raw;
};

/* @n calls took @ns, @waited of it; that is known of the whole only. */
static void note(struct side *s, unsigned n, uint64_t ns, uint64_t waited)
{
	double each = (double)(ns ? ns : 1) / n;

	if (!waited) {
		s->quickest_ns = s->quickest_ns == 0 || each < s->quickest_ns ? each : s->quickest_ns;
		return;
	}
	s->raw_ns += each;
	s->n_raw++;
	if (n == 1 && waited < ns) {
		s->waited_ns += (double)(ns - waited);
		s->n_waited++;
	}
}

static double shown(const struct side *s, bool *ret_disturbed)
{
	if (s->quickest_ns > 0)
		return s->quickest_ns;
	if (s->n_waited)
		return s->waited_ns / s->n_waited;
	*ret_disturbed = true;
	return s->raw_ns / s->n_raw;
}

static int run_some(struct running *g, const struct mapping *m, unsigned n, uint64_t *ret_ns)
{
	g->last = *m;
	return g->race->run(g->race->context, m->old, m->lane, m->course, n, ret_ns);
}

static bool is_hot(const struct running *g, const struct mapping *m)
{
	return g->last.old == m->old && g->last.lane == m->lane && g->last.course == m->course;
}

static uint64_t wait_count(struct running *g)
{
	uint64_t waited = g->race->remote ? 0 : waiting_ns(&g->waiting);

	g->waited_ns += waited;
	return waited;
}

static int take_turns(struct running *g, const struct mapping *m, struct side *s)
{
	unsigned n = g->calls[m->course], heat = is_hot(g, m) ? 0 : g->heat[m->course];
	uint64_t ns;
	int e = heat ? run_some(g, m, heat, &ns) : 0;

	wait_count(g);
	for (unsigned i = 0; i < g->turns[m->course] && e == 0; i++) {
		e = run_some(g, m, n, &ns);
		note(s, n, ns, wait_count(g));
	}
	return e;
}

static void show(const struct side sides[2], struct round *r)
{
	r->old_ns = shown(&sides[true], &r->disturbed);
	r->new_ns = shown(&sides[false], &r->disturbed);
}

/* One round, as @r has it; what counts of it is in r[0], and where halves count in r[1]. */
static int run_round(struct running *g, struct round r[2], size_t *ret_n)
{
	const bool order[] = { g->old_first, !g->old_first, !g->old_first, g->old_first };
	struct side sides[2][2] = { { { 0 } } };
	size_t n = g->halves[r->course] ? 2 : 1;
	int e = 0;

	g->waited_ns = 0;
	waiting_ns(&g->waiting); /* what was before is none of ours */
	for (unsigned i = 0; i < 4 && e == 0; i++) {
		struct mapping m = { order[i], order[i] ? r->old_lane : r->new_lane, r->course };

		e = take_turns(g, &m, &sides[i * n / 4][m.old]);
	}
	if (e < 0)
		return e;
	r[n - 1] = r[0];
	for (size_t i = 0; i < n; i++)
		show(sides[i], &r[i]);
	*ret_n = n;
	return 0;
}

static void shuffle(struct running *g)
{
	for (unsigned i = 0; i < g->race->n_courses; i++) {
		unsigned k = chance_below(&g->chance, i + 1);

		g->order[i] = g->order[k];
		g->order[k] = i;
	}
}

/* Every old lane with every new one, one round for each input and pair. */
static struct round next_round(struct running *g)
{
	unsigned n = g->race->n_courses, at = g->n_begun++ % n;

	if (at == 0) {
		shuffle(g);
		g->old_first = g->n_pass % 2 ? !g->old_first : chance_below(&g->chance, 2);
		g->n_pass++;
	}
	return (struct round){ .course = (uint8_t)g->order[at],
			       .old_lane = (uint8_t)(g->n_pass % g->n_lanes),
			       .new_lane = (uint8_t)((g->n_pass + g->n_pass / g->n_lanes) % g->n_lanes) };
}

static int run_until(struct running *g, uint64_t end_ns)
{
	const struct race *race = g->race;
	uint64_t now = clock_ns(), took = 0;

	/* A round of long calls that would mostly be late isn't begun. */
	while (now + took / 2 < end_ns && g->n + 2 <= MAX_ROUNDS) {
		struct round *r = &g->rounds[g->n];
		uint64_t before = now;
		size_t n;
		int e;

		if (race->unwanted && race->unwanted(race->context))
			return -ECANCELED;
		*r = next_round(g);
		e = run_round(g, r, &n);
		if (e < 0)
			return e;
		g->n += n;
		now = clock_ns();
		took = now - before;
		if ((double)g->waited_ns > CROWDED * (double)took)
			move_on(g);
	}
	return 0;
}

/* Warming up */

/* One call; how long one takes is the quickest of all. */
static int try_once(struct running *g, const struct mapping *m, uint64_t *ret_ns)
{
	uint64_t waited, *least = &g->each_ns[m->course];
	int e;

	wait_count(g);
	e = run_some(g, m, 1, ret_ns);
	waited = wait_count(g);
	*ret_ns = waited < *ret_ns ? *ret_ns - waited : *ret_ns;
	*least = *ret_ns < *least ? *ret_ns : *least;
	return e;
}

/* Calls in a row, added to @ns; at most @n, and fewer of long ones. */
static int try_row(struct running *g, const struct mapping *m, uint64_t *ns, unsigned *n)
{
	uint64_t all = 0, this;
	unsigned i = 0;
	int e = 0;

	while (e == 0 && i < *n && (i < 2 || all < g->race->budget_ns / ROW_SHARE)) {
		e = try_once(g, m, &this);
		ns[i++] += this;
		all += this;
	}
	*n = i;
	return e;
}

/* How many calls come before the first that is about as quick as any: of both sides, as one may be slow by chance. */
static int find_heat(struct running *g, unsigned course)
{
	uint64_t ns[MAX_HEAT + 1] = { 0 }, best = UINT64_MAX;
	unsigned n = MAX_HEAT + 1, *heat = &g->heat[course];
	int e = try_row(g, &(struct mapping){ true, 0, course }, ns, &n);

	if (e == 0)
		e = try_row(g, &(struct mapping){ false, 0, course }, ns, &n);
	for (unsigned i = 0; i < n; i++)
		best = ns[i] < best ? ns[i] : best;
	for (*heat = 0; *heat + 1 < n && (double)best < HEATS * (double)ns[*heat]; ++*heat)
		;
	return e;
}

/* Roughly. */
static uint64_t round_ns(const struct running *g, unsigned course)
{
	unsigned timed = 4 * g->calls[course] * g->turns[course];

	return (timed + 3 * COLD * g->heat[course]) * g->each_ns[course] + 1;
}

static void choose_turns(struct running *g, unsigned course)
{
	uint64_t each = g->each_ns[course] ? g->each_ns[course] : 1, left = g->race->budget_ns / g->race->n_courses;

	g->calls[course] = each < TURN_NS ? (unsigned)(TURN_NS / each) : 1;
	g->turns[course] = each < TURN_NS || !g->heat[course] ? 1 : 2 * g->heat[course];
	while (g->turns[course] > 1 && left / round_ns(g, course) < LEAST_ROUNDS)
		g->turns[course]--;
	g->halves[course] = left / round_ns(g, course) < FEW_ROUNDS;
}

static unsigned choose_lanes(const struct running *g)
{
	uint64_t pass = 0;
	unsigned n;

	for (unsigned i = 0; i < g->race->n_courses; i++)
		pass += round_ns(g, i);
	n = (unsigned)(g->race->budget_ns / pass * g->race->n_courses / ROUNDS_A_LANE);
	return n < 1 ? 1 : n < g->race->n_lanes ? n : g->race->n_lanes;
}

static int warm_up(struct running *g)
{
	int e = 0;

	for (unsigned i = 0; i < ROUND_MAX_COURSES; i++)
		g->each_ns[i] = UINT64_MAX;
	for (unsigned i = 0; i < g->race->n_courses && e == 0; i++) {
		e = find_heat(g, i);
		choose_turns(g, i);
	}
	g->n_lanes = choose_lanes(g);
	return e;
}

static int run_all(struct running *g, struct verdict *ret)
{
	uint64_t all = g->race->budget_ns > 2 * JUDGING_NS ? g->race->budget_ns - JUDGING_NS : g->race->budget_ns;
	int e = warm_up(g);

	*ret = (struct verdict){ .ratio = 1 };
	for (unsigned look = LOOKS; look > 0 && e == 0; look--) {
		e = run_until(g, g->started_ns + (all >> (look - 1)));
		if (e == 0)
			verdict_judge(g->rounds, g->n, g->race->seed, ret);
		if (ret->kind != VERDICT_UNSURE)
			break;
	}
	return e;
}

int race_run(const struct race *r, struct verdict *ret)
{
	struct running g = { .race = r, .started_ns = clock_ns(), .n_lanes = 1, .chance = { r->seed } };
	int e;

	sched_getaffinity(0, sizeof(g.cpus), &g.cpus);
	g.rounds = xcalloc(MAX_ROUNDS, sizeof(*g.rounds));
	bind_here();
	waiting_open(&g.waiting);
	e = run_all(&g, ret);
	waiting_close(&g.waiting);
	sched_setaffinity(0, sizeof(g.cpus), &g.cpus);
	free(g.rounds);
	return e;
}
