/* SPDX-License-Identifier: MIT */
#include "verdict/verdict.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/buffer.h"
#include "verdict/chance.h"
#include "verdict/statistics.h"

/*
 * Rounds as machines make them. Shares: 0.01 is 1 %. What a neighbour does comes in spells and
 * lengthens a turn; luck is a mapping's own.
 */
struct machine {
	double noise;   /* of a turn, normal */
	double spells;  /* how much of the time a neighbour is at work */
	double harm;    /* by which he lengthens a turn then, at most */
	double luck;    /* of mappings, normal */
	double drift;   /* from the first round to the last */
};

static const struct machine quiet = { .noise = 0.005, .drift = 0.1 };
static const struct machine noisy = { .noise = 0.02, .spells = 0.4, .harm = 0.5, .drift = 0.3 };
static const struct machine lucky = { .noise = 0.005, .luck = 0.01 };

static struct chance chance = { 1 };

static double uniform(void)
{
	return ((double)(chance_next(&chance) >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(void)
{
	return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

static bool in_spell(const struct machine *m)
{
	static bool yes;

	if (chance_below(&chance, 5) == 0)
		yes = uniform() < m->spells;
	return yes;
}

static double turn(const struct machine *m, double ns)
{
	return ns * exp(m->noise * normal()) * (in_spell(m) ? 1 + m->harm * uniform() : 1);
}

/* @n rounds with @n_courses inputs; the new image takes 1 / @ratio of the time. */
static void judge(const struct machine *m, size_t n, unsigned n_courses, double ratio, struct verdict *ret)
{
	static struct round rounds[4000];
	double luck[2][ROUND_MAX_LANES];

	for (unsigned i = 0; i < 2 * ROUND_MAX_LANES; i++)
		luck[i % 2][i / 2] = exp(m->luck * normal());
	for (size_t i = 0; i < n; i++) {
		unsigned old = (unsigned)(i / n_courses % ROUND_MAX_LANES), new = (unsigned)((i / n_courses * 3 + i / 8) % ROUND_MAX_LANES);
		double ns = 1e6 * (1 + m->drift * (double)i / (double)n) * (1 + (double)(i % n_courses));

		rounds[i] = (struct round){
			.course = (uint8_t)(i % n_courses),
			.old_lane = (uint8_t)old,
			.new_lane = (uint8_t)new,
			.old_ns = (turn(m, ns) + turn(m, ns)) / 2 * luck[0][old],
			.new_ns = (turn(m, ns) + turn(m, ns)) / 2 * luck[1][new] / ratio,
		};
	}
	verdict_judge(rounds, n, chance_next(&chance), ret);
}

/* @n halves of rounds: two in a row are of the same mappings, old, new and new, old, of one turn each. */
static void judge_halves(const struct machine *m, size_t n, double ratio, struct verdict *ret)
{
	static struct round rounds[100];
	double luck[2][ROUND_MAX_LANES];

	for (unsigned i = 0; i < 2 * ROUND_MAX_LANES; i++)
		luck[i % 2][i / 2] = exp(m->luck * normal());
	for (size_t i = 0; i < n; i++) {
		unsigned old = (unsigned)(i / 2 % ROUND_MAX_LANES), new = (unsigned)((i / 2 + i / 16) % ROUND_MAX_LANES);
		double first = turn(m, 1e6 * (1 + m->drift * (double)(2 * i) / (double)(2 * n)));
		double second = turn(m, 1e6 * (1 + m->drift * (double)(2 * i + 1) / (double)(2 * n)));

		rounds[i] = (struct round){
			.old_lane = (uint8_t)old,
			.new_lane = (uint8_t)new,
			.old_ns = (i % 2 ? second : first) * luck[0][old],
			.new_ns = (i % 2 ? first : second) * luck[1][new] / ratio,
		};
	}
	verdict_judge(rounds, n, chance_next(&chance), ret);
}

/* Of 300 saves, how many get which verdict. */
struct tally {
	unsigned of[VERDICT_SLOWER + 1];
};

static struct tally count(const struct machine *m, size_t n, double ratio)
{
	struct tally t = { { 0 } };
	struct verdict v;

	for (unsigned i = 0; i < 300; i++) {
		judge(m, n, 1, ratio, &v);
		t.of[v.kind]++;
	}
	return t;
}

static struct tally count_halves(const struct machine *m, size_t n, double ratio)
{
	struct tally t = { { 0 } };
	struct verdict v;

	for (unsigned i = 0; i < 300; i++) {
		judge_halves(m, n, ratio, &v);
		t.of[v.kind]++;
	}
	return t;
}

Test(verdict, tells_apart_what_is_apart)
{
	struct verdict v;

	judge(&quiet, 200, 2, 1.34, &v);
	cr_expect_eq(v.kind, VERDICT_FASTER);
	cr_expect(v.low < 1.34 && v.high > 1.34 && v.high - v.low < 0.02, "[%f, %f]", v.low, v.high);
	judge(&quiet, 200, 2, 1 / 1.34, &v);
	cr_expect_eq(v.kind, VERDICT_SLOWER);
	judge(&quiet, 200, 2, 1, &v);
	cr_expect_eq(v.kind, VERDICT_SAME);
	cr_expect_eq(v.n_courses, 2);
	cr_expect_eq(v.n_rounds, 200);
	cr_expect_eq(v.n_lanes, ROUND_MAX_LANES);
}

Test(verdict, finds_three_percent_on_a_quiet_machine)
{
	unsigned few = count(&quiet, 18, 1 / 1.03).of[VERDICT_SLOWER];
	unsigned many = count(&quiet, 60, 1 / 1.03).of[VERDICT_SLOWER];

	cr_expect_geq(few, 285, "%u of 300 by 18 rounds", few);
	cr_expect_geq(many, 297, "%u of 300 by 60", many);
}

Test(verdict, never_calls_what_is_slower_by_a_little_faster)
{
	cr_expect_eq(count(&quiet, 60, 1 / 1.015).of[VERDICT_FASTER], 0);
	cr_expect_eq(count(&noisy, 60, 1 / 1.015).of[VERDICT_FASTER], 0);
	cr_expect_eq(count(&noisy, 12, 1 / 1.015).of[VERDICT_FASTER], 0);
	cr_expect_eq(count(&lucky, 60, 1 / 1.015).of[VERDICT_FASTER], 0);
}

/* 1 % would keep the promise of two in two hundred. */
Test(verdict, finds_no_change_where_there_is_none)
{
	static const struct machine *const machines[] = { &quiet, &noisy, &lucky };
	static const size_t sizes[] = { 10, 14, 60, 200 };

	for (unsigned m = 0; m < 3; m++) {
		for (unsigned s = 0; s < 4; s++) {
			struct tally t = count(machines[m], sizes[s], 1);
			unsigned wrong = t.of[VERDICT_FASTER] + t.of[VERDICT_SLOWER];

			cr_expect_leq(wrong, 1, "machine %u, %zu rounds: %u of 300", m, sizes[s], wrong);
		}
	}
}

/* A spell is longer than a half, and luck that of both. */
Test(verdict, is_right_about_halves_of_rounds_too)
{
	static const struct machine *const machines[] = { &quiet, &noisy, &lucky };
	static const size_t sizes[] = { 10, 14, 28, 58 };

	for (unsigned m = 0; m < 3; m++) {
		for (unsigned s = 0; s < 4; s++) {
			struct tally t = count_halves(machines[m], sizes[s], 1);
			unsigned wrong = t.of[VERDICT_FASTER] + t.of[VERDICT_SLOWER];

			cr_expect_leq(wrong, 1, "machine %u, %zu halves: %u of 300", m, sizes[s], wrong);
		}
		cr_expect_eq(count_halves(machines[m], 14, 1 / 1.015).of[VERDICT_FASTER], 0);
	}
	cr_expect_geq(count_halves(&quiet, 28, 1 / 1.03).of[VERDICT_SLOWER], 270);
}

Test(verdict, is_unsure_rather_than_wrong_in_noise)
{
	unsigned unsure = count(&noisy, 12, 1).of[VERDICT_UNSURE], slower = count(&noisy, 600, 1 / 1.1).of[VERDICT_SLOWER];

	cr_expect_geq(unsure, 270, "%u of 300", unsure);
	cr_expect_geq(slower, 270, "and yet finds much: %u of 300", slower);
}

/* Mappings that differ by 1 % each are a reason to doubt a mean that is off by 1.5 %. */
Test(verdict, doubts_what_may_be_the_luck_of_a_mapping)
{
	struct verdict v;
	double control = 0;

	for (unsigned i = 0; i < 100; i++) {
		judge(&lucky, 200, 1, 1, &v);
		control += v.control / 100;
	}
	cr_expect(control > 0.008 && control < 0.025, "%f", control);
	cr_expect_leq(count(&lucky, 200, 1 / 1.015).of[VERDICT_SLOWER], 60);
	judge(&quiet, 200, 1, 1, &v);
	cr_expect(v.control < 0.004, "%f", v.control);
}

static void fill(struct round *rounds, size_t n, double new_ns)
{
	for (size_t i = 0; i < n; i++)
		rounds[i] = (struct round){ .old_lane = (uint8_t)(i % 4), .new_lane = (uint8_t)(i / 4 % 4),
					    .old_ns = 1000, .new_ns = new_ns };
}

Test(verdict, leaves_disturbed_rounds_out_unless_nearly_all_are)
{
	struct round rounds[64];
	struct verdict v;

	fill(rounds, 64, 1000);
	for (unsigned i = 0; i < 30; i++)
		rounds[i].disturbed = true, rounds[i].new_ns = 5000;
	verdict_judge(rounds, 64, 1, &v);
	cr_expect_eq(v.kind, VERDICT_SAME);
	cr_expect_eq(v.n_rounds, 34);
	cr_expect_eq(v.n_disturbed, 30);
	fill(rounds, 64, 2000);
	for (unsigned i = 0; i < 60; i++)
		rounds[i].disturbed = true;
	verdict_judge(rounds, 64, 1, &v);
	cr_expect_eq(v.kind, VERDICT_SLOWER);
	cr_expect_eq(v.n_rounds, 64);
}

Test(verdict, says_nothing_of_too_little)
{
	struct round rounds[VERDICT_MIN_ROUNDS];
	struct verdict v;

	fill(rounds, VERDICT_MIN_ROUNDS, 500);
	verdict_judge(rounds, VERDICT_MIN_ROUNDS - 1, 1, &v);
	cr_expect_eq(v.kind, VERDICT_UNSURE);
	cr_expect_eq(v.n_courses, 0);
	cr_expect_eq(v.ratio, 1);
	verdict_judge(rounds, 0, 1, &v);
	cr_expect_eq(v.kind, VERDICT_UNSURE);
}

Test(verdict, counts_inputs_alike_and_tells_of_each)
{
	struct round rounds[200];
	struct verdict v;

	for (unsigned i = 0; i < 200; i++)
		rounds[i] = (struct round){ .course = i % 2, .old_lane = i / 2 % 4, .new_lane = i / 8 % 4,
					    .old_ns = i % 2 ? 1e6 : 1e3, .new_ns = i % 2 ? 2e6 : 1e3 };
	verdict_judge(rounds, 200, 1, &v);
	cr_expect_float_eq(v.ratio, sqrt(0.5), 1e-6);
	cr_expect_float_eq(v.courses[0].ratio, 1, 1e-6);
	cr_expect_float_eq(v.courses[1].ratio, 0.5, 1e-6);
	cr_expect_float_eq(v.courses[1].new_ns, 2e6, 1);
	cr_expect_eq(v.kind, VERDICT_SLOWER);
}

static void describes(const struct verdict *v, const char *expected)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	verdict_describe(v, &text);
	cr_expect_str_eq(text.data, expected);
}

Test(verdict, is_said_in_few_words)
{
	describes(&(struct verdict){ .kind = VERDICT_FASTER, .ratio = 1.34, .low = 1.31, .high = 1.37 },
		  "1.34× faster [1.31, 1.37]");
	describes(&(struct verdict){ .kind = VERDICT_SLOWER, .ratio = 0.5, .low = 0.4, .high = 0.625 },
		  "2.00× slower [1.60, 2.50]");
	describes(&(struct verdict){ .kind = VERDICT_SAME, .ratio = 1, .low = 0.994, .high = 1.006 },
		  "same speed [0.99, 1.01]");
	describes(&(struct verdict){ .kind = VERDICT_UNSURE, .ratio = 1, .low = 0.9, .high = 1.2 },
		  "speed unsure [0.90, 1.20]");
	cr_expect_str_eq(verdict_name(VERDICT_SLOWER), "SLOWER");
}

Test(statistics, the_middle_half_ignores_what_is_far_off)
{
	double values[] = { 1, 2, 3, 4, 5, 6, 7, 1e9 }, one[] = { 3 };

	cr_expect_float_eq(statistics_middle_mean(values, 8), 4.5, 1e-9);
	cr_expect_float_eq(statistics_middle_mean(one, 1), 3, 1e-9);
	cr_expect_float_eq(statistics_quantile(values, 8, 0.5), 4.5, 1e-9);
	cr_expect_float_eq(statistics_quantile(values, 8, 1), 1e9, 1e-9);
}

/* Of a table of Student's distribution. */
Test(statistics, few_numbers_know_little_of_their_spread)
{
	static const struct { unsigned degrees; double t; } table[] = {
		{ 1, 63.657 }, { 2, 9.925 }, { 5, 4.032 }, { 6, 3.707 }, { 10, 3.169 }, { 30, 2.750 }, { 1000, 2.581 },
	};

	for (unsigned i = 0; i < 7; i++)
		cr_expect_float_eq(statistics_few_99(table[i].degrees) * 2.5758, table[i].t, 0.04, "%u",
				   table[i].degrees);
}
