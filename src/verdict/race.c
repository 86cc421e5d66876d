/* SPDX-License-Identifier: MIT */

/*
 * A turn is one measurement: as many calls as take TURN_NS, or one. A round is four turns (round.h),
 * of one mapping of each image; which of them begins is chance, and so is which input comes when.
 * Mappings take turns so that each of the old ones meets each of the new ones.
 *
 * Where somebody else had the processor meanwhile is known from the scheduler's own count, not
 * guessed from the time it took: to leave out what was slow would be to believe in the fast. A
 * long call has that waiting taken off. A round of short calls counts as disturbed instead.
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
#define ROUNDS_A_LANE 2      /* or fewer lanes run */
#define CROWDED 0.5          /* of a round waited: somebody else has this processor */

struct running {
	const struct race *race;
	uint64_t started_ns;
	unsigned n_lanes;                    /* that run */
	unsigned calls[ROUND_MAX_COURSES];   /* a turn */
	uint64_t each_ns[ROUND_MAX_COURSES]; /* a call, roughly */
	unsigned order[ROUND_MAX_COURSES];   /* of the inputs, in this pass */
	unsigned n_pass;
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

/* Of @n calls that took @ns in all; what was waited is known of the whole turn only. */
static double each(struct running *g, unsigned n, uint64_t ns, struct round *r)
{
	uint64_t waited = g->race->remote ? 0 : waiting_ns(&g->waiting);

	if (waited && (n > 1 || waited >= ns))
		r->disturbed = true;
	else
		ns -= waited;
	g->waited_ns += waited;
	return (double)(ns ? ns : 1) / n;
}

static int turn(struct running *g, bool old, struct round *r)
{
	const struct race *race = g->race;
	unsigned n = g->calls[r->course];
	uint64_t ns;
	int e = race->run(race->context, old, old ? r->old_lane : r->new_lane, r->course, n, &ns);

	if (e == 0)
		*(old ? &r->old_ns : &r->new_ns) += each(g, n, ns, r) / 2;
	return e;
}

static int run_round(struct running *g, struct round *r)
{
	bool first = chance_below(&g->chance, 2);
	const bool order[] = { first, !first, !first, first };
	int e = 0;

	g->waited_ns = 0;
	waiting_ns(&g->waiting); /* what was before is none of ours */
	for (unsigned i = 0; i < 4 && e == 0; i++)
		e = turn(g, order[i], r);
	return e;
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
	unsigned n = g->race->n_courses, at = (unsigned)(g->n % n);

	if (at == 0) {
		shuffle(g);
		g->n_pass++;
	}
	return (struct round){ .course = (uint8_t)g->order[at],
			       .old_lane = (uint8_t)(g->n_pass % g->n_lanes),
			       .new_lane = (uint8_t)((g->n_pass + g->n_pass / g->n_lanes) % g->n_lanes) };
}

static int run_until(struct running *g, uint64_t end_ns)
{
	const struct race *race = g->race;
	uint64_t now = clock_ns();

	while (now < end_ns && g->n < MAX_ROUNDS) {
		struct round *r = &g->rounds[g->n];
		uint64_t before = now;
		int e;

		if (race->unwanted && race->unwanted(race->context))
			return -ECANCELED;
		*r = next_round(g);
		e = run_round(g, r);
		if (e < 0)
			return e;
		g->n++;
		now = clock_ns();
		if ((double)g->waited_ns > CROWDED * (double)(now - before))
			move_on(g);
	}
	return 0;
}

/* Warming up */

/* Lanes @from … @to - 1 once with each input; how long a call takes is the quickest of all. */
static int try_lanes(struct running *g, unsigned from, unsigned to)
{
	const struct race *race = g->race;
	struct round unused;

	waiting_ns(&g->waiting);
	for (unsigned i = 2 * from * race->n_courses; i < 2 * to * race->n_courses; i++) {
		unsigned course = i / 2 % race->n_courses;
		uint64_t ns;
		int e = race->run(race->context, i % 2, i / 2 / race->n_courses, course, 1, &ns);

		if (e < 0)
			return e;
		ns = (uint64_t)each(g, 1, ns, &unused);
		g->each_ns[course] = ns < g->each_ns[course] ? ns : g->each_ns[course];
	}
	for (unsigned i = 0; i < race->n_courses; i++)
		g->calls[i] = g->each_ns[i] < TURN_NS ? (unsigned)(TURN_NS / (g->each_ns[i] ? g->each_ns[i] : 1)) : 1;
	return 0;
}

static unsigned choose_lanes(const struct running *g)
{
	uint64_t pass = 1, left = g->race->budget_ns * 3 / 4;
	unsigned n;

	for (unsigned i = 0; i < g->race->n_courses; i++)
		pass += 4 * g->calls[i] * g->each_ns[i];
	n = (unsigned)(left / pass * g->race->n_courses / ROUNDS_A_LANE);
	return n < 1 ? 1 : n < g->race->n_lanes ? n : g->race->n_lanes;
}

static int warm_up(struct running *g)
{
	int e;

	for (unsigned i = 0; i < ROUND_MAX_COURSES; i++)
		g->each_ns[i] = UINT64_MAX;
	e = try_lanes(g, 0, 1);
	if (e == 0) {
		g->n_lanes = choose_lanes(g);
		e = try_lanes(g, 1, g->n_lanes);
	}
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
