/* SPDX-License-Identifier: MIT */
#include "verdict/race.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"

/* Runners that only say how long they took. */

#define MAX_TURNS 40000

static struct turn {
	bool old;
	unsigned lane, course, n;
} turns[MAX_TURNS];
static unsigned n_turns;
static uint64_t each_ns[2]; /* new, old */
static int error_at;        /* turn at which run() fails; 0: never */

static int pretend(void *context, bool old, unsigned lane, unsigned course, unsigned n, uint64_t *ret_ns)
{
	(void)context;
	if (n_turns < MAX_TURNS)
		turns[n_turns] = (struct turn){ old, lane, course, n };
	n_turns++;
	*ret_ns = each_ns[old] * n * (course + 1);
	return error_at && n_turns >= (unsigned)error_at ? -EIO : 0;
}

static int race(unsigned n_lanes, unsigned n_courses, uint64_t new_ns, uint64_t old_ns, struct verdict *ret)
{
	const struct race r = { .n_lanes = n_lanes, .n_courses = n_courses, .budget_ns = 200 * NS_PER_MS,
				.seed = 7, .run = pretend };

	n_turns = 0;
	each_ns[false] = new_ns;
	each_ns[true] = old_ns;
	return race_run(&r, ret);
}

/* After nine short calls of each side with each input, which say whether they get quicker. */
static const struct turn *rounds(unsigned n_courses)
{
	return turns + 2 * 9 * n_courses;
}

Test(race, ends_with_a_verdict)
{
	struct verdict v;

	cr_expect_eq(race(4, 2, 1000, 1300, &v), 0);
	cr_expect_eq(v.kind, VERDICT_FASTER);
	cr_expect_float_eq(v.ratio, 1.3, 1e-3);
	cr_expect_eq(v.n_courses, 2);
	cr_expect_float_eq(v.courses[1].old_ns, 2600, 1);
	cr_expect_eq(race(4, 1, 1000, 1000, &v), 0);
	cr_expect_eq(v.kind, VERDICT_SAME);
}

Test(race, runs_a_b_b_a_and_lets_chance_say_who_begins)
{
	const struct turn *t = rounds(2);
	unsigned n_old_first = 0;
	struct verdict v;

	cr_assert_eq(race(4, 2, 30000, 30000, &v), 0);
	for (unsigned i = 0; i < 400; i++, t += 4) {
		cr_assert(t[0].old == t[3].old && t[1].old == t[2].old && t[0].old != t[1].old, "round %u", i);
		cr_assert(t[0].lane == t[3].lane && t[1].lane == t[2].lane);
		cr_assert(t[0].course == t[1].course && t[0].course == t[2].course && t[0].course == t[3].course);
		n_old_first += t[0].old;
	}
	cr_expect(n_old_first > 150 && n_old_first < 250, "%u of 400", n_old_first);
}

Test(race, every_mapping_meets_every_other_on_every_input)
{
	const struct turn *t = rounds(3);
	unsigned met[3][4][4] = { { { 0 } } };
	struct verdict v;

	cr_assert_eq(race(4, 3, 30000, 30000, &v), 0);
	for (unsigned i = 0; i < 16 * 3; i++, t += 4)
		met[t->course][t[t->old ? 0 : 1].lane][t[t->old ? 1 : 0].lane]++;
	for (unsigned c = 0; c < 3; c++)
		for (unsigned i = 0; i < 16; i++)
			cr_expect_eq(met[c][i / 4][i % 4], 1, "input %u, lanes %u and %u", c, i / 4, i % 4);
}

Test(race, measures_short_calls_by_the_dozen_and_long_ones_one_by_one)
{
	struct verdict v;

	cr_assert_eq(race(1, 1, 1000, 1000, &v), 0);
	cr_expect_eq(rounds(1)->n, 50);
	cr_assert_eq(race(1, 1, 10 * NS_PER_MS, 10 * NS_PER_MS, &v), 0);
	cr_expect_eq(turns[n_turns - 1].n, 1);
}

/* Two milliseconds, really. */
static int run_long(void *context, bool old, unsigned lane, unsigned course, unsigned n, uint64_t *ret_ns)
{
	uint64_t end = clock_ns() + 2 * n * NS_PER_MS;

	while (clock_ns() < end)
		;
	each_ns[old] = 2 * NS_PER_MS;
	return pretend(context, old, lane, course, n, ret_ns);
}

/* As many as four turns, where those of one round count whole. */
static unsigned rounds_of(const struct race *r)
{
	unsigned warm = 0;
	struct verdict v;

	n_turns = 0;
	cr_assert_eq(race_run(r, &v), 0);
	while (warm < n_turns && turns[warm].lane == 0) /* the first round isn't of the first mappings */
		warm++;
	cr_expect_eq(v.n_rounds % ((n_turns - warm) / 4), 0, "%u of %u turns", v.n_rounds, n_turns - warm);
	return v.n_rounds / ((n_turns - warm) / 4);
}

Test(race, counts_halves_of_rounds_where_calls_are_long)
{
	struct race r = { .n_lanes = 4, .n_courses = 1, .budget_ns = 200 * NS_PER_MS, .seed = 7, .remote = true, .run = run_long };

	cr_expect_eq(rounds_of(&r), 2);
	r.budget_ns = NS_PER_S;
	cr_expect_eq(rounds_of(&r), 1, "there are rounds enough");
}

/* The second half of each round takes twice as long. */
static int run_slower_halves(void *context, bool old, unsigned lane, unsigned course, unsigned n, uint64_t *ret_ns)
{
	static unsigned n_timed;
	int e = run_long(context, old, lane, course, n, ret_ns);

	if (lane || n_timed)
		*ret_ns *= n_timed++ % 4 < 2 ? 1 : 2;
	return e;
}

Test(race, compares_within_a_half)
{
	const struct race r = { .n_lanes = 4, .n_courses = 1, .budget_ns = 200 * NS_PER_MS, .seed = 7, .remote = true,
				.run = run_slower_halves };
	struct verdict v;

	cr_assert_eq(race_run(&r, &v), 0);
	cr_expect_eq(v.kind, VERDICT_SAME);
	cr_expect_float_eq(v.courses[0].low, 1, 1e-6);
	cr_expect_gt(v.courses[0].old_ns, 2.1 * NS_PER_MS);
}

/* Three calls in a row until a cache has what the other side drove out, and now and then a slow one. */
static int run_cached(void *context, bool old, unsigned lane, unsigned course, unsigned n, uint64_t *ret_ns)
{
	static unsigned row, all;
	static bool last;

	(void)context, (void)lane, (void)course;
	row = old == last ? row : 0;
	last = old;
	for (*ret_ns = 0; n > 0; n--, row++, all++)
		*ret_ns += (row < 3 ? 400000 - 100000 * row : 100000) * (old ? 100 : 103) / 100 + (all % 5 ? 0 : 50000);
	return 0;
}

Test(race, runs_a_mapping_untimed_until_it_gets_no_quicker_and_lets_the_quickest_turn_count)
{
	const struct race r = { .n_lanes = 4, .n_courses = 1, .budget_ns = 200 * NS_PER_MS, .seed = 7, .run = run_cached };
	struct verdict v;

	cr_assert_eq(race_run(&r, &v), 0);
	cr_expect_eq(v.kind, VERDICT_SLOWER);
	cr_expect_float_eq(v.courses[0].old_ns, 100000, 1);
	cr_expect_float_eq(v.courses[0].new_ns, 103000, 1);
}

Test(race, lets_both_sides_begin_equally_often)
{
	unsigned n_old_first = 0;
	struct verdict v;

	cr_assert_eq(race(4, 1, 30000, 30000, &v), 0);
	for (unsigned i = 0; i < 100; i++)
		n_old_first += rounds(1)[4 * i].old;
	cr_expect_eq(n_old_first, 50);
}

Test(race, ends_when_a_run_fails)
{
	struct verdict v;

	error_at = 100;
	cr_expect_eq(race(4, 2, 1000, 1300, &v), -EIO);
	cr_expect_eq(n_turns, 100);
	error_at = 2;
	cr_expect_eq(race(4, 2, 1000, 1300, &v), -EIO);
	error_at = 0;
}

/* Real ones */

static volatile unsigned sink;

static int count(void *context, bool old, unsigned lane, unsigned course, unsigned n, uint64_t *ret_ns)
{
	const unsigned *loops = context;
	uint64_t started = clock_ns();

	(void)lane, (void)course;
	while (n--)
		for (unsigned i = 0; i < loops[old]; i++)
			sink += i;
	*ret_ns = clock_ns() - started;
	return 0;
}

Test(race, knows_the_direction_of_a_real_change_and_keeps_to_its_budget)
{
	static unsigned loops[2] = { 2600, 2000 }; /* new, old */
	const struct race r = { .n_lanes = 2, .n_courses = 1, .budget_ns = 300 * NS_PER_MS, .seed = 1,
				.run = count, .context = loops };
	uint64_t started = clock_ns();
	cpu_set_t before, after;
	struct verdict v;

	sched_getaffinity(0, sizeof(before), &before);
	cr_assert_eq(race_run(&r, &v), 0);
	sched_getaffinity(0, sizeof(after), &after);
	cr_expect(CPU_EQUAL(&before, &after), "it may run where it might before");
	cr_expect_lt(v.ratio, 1);
	cr_expect_neq(v.kind, VERDICT_FASTER);
	cr_expect_lt(clock_ns() - started, 2 * NS_PER_S);
}

static atomic_bool rival_may_end;

static void *rival(void *context)
{
	(void)context;
	while (!atomic_load(&rival_may_end))
		;
	return NULL;
}

static long times_preempted(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return u.ru_nivcsw;
}

/* Not before another has had the processor: in each turn, for one without is enough for a round to be undisturbed. */
static int count_after_another(void *context, bool old, unsigned lane, unsigned course, unsigned n, uint64_t *ret_ns)
{
	long before = times_preempted();

	while (times_preempted() == before)
		;
	return count(context, old, lane, course, n, ret_ns);
}

/* @remote, with another thread on our processor: how many rounds that disturbed. */
static unsigned disturbed_by_rival(bool remote)
{
	static unsigned loops[2] = { 2000, 2000 };
	const struct race r = { .n_lanes = 1, .n_courses = 1, .budget_ns = NS_PER_S, .seed = 1, .remote = remote,
				.run = count_after_another, .context = loops };
	cpu_set_t before, here;
	struct verdict v;
	pthread_t thread;

	sched_getaffinity(0, sizeof(before), &before);
	CPU_ZERO(&here);
	CPU_SET((size_t)sched_getcpu(), &here);
	sched_setaffinity(0, sizeof(here), &here);
	atomic_store(&rival_may_end, false);
	cr_assert_eq(pthread_create(&thread, NULL, rival, NULL), 0);
	cr_expect_eq(race_run(&r, &v), 0);
	atomic_store(&rival_may_end, true);
	pthread_join(thread, NULL);
	sched_setaffinity(0, sizeof(before), &before);
	return v.n_disturbed;
}

Test(race, of_another_processor_knows_no_waiting_for_ours)
{
	cr_expect_gt(disturbed_by_rival(false), 0);
	cr_expect_eq(disturbed_by_rival(true), 0);
}

static bool twice(void *context)
{
	static unsigned asked;

	(void)context;
	return ++asked > 2;
}

Test(race, ends_when_nobody_wants_to_know)
{
	unsigned loops[2] = { 2000, 2000 };
	const struct race r = { .n_lanes = 1, .n_courses = 1, .budget_ns = 60 * NS_PER_S, .run = count,
				.unwanted = twice, .context = loops };
	struct verdict v;

	cr_expect_eq(race_run(&r, &v), -ECANCELED);
}
