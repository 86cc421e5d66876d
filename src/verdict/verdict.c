/* SPDX-License-Identifier: MIT */

/*
 * All is computed of logarithms, where twice as fast is as far from the middle as half as fast.
 * A round is one number, ln(old) - ln(new). The middle half of an input's numbers counts (who was
 * preempted, or shared a cache with somebody for a while, is not in it), and inputs count alike,
 * small ones as much as large ones. The interval is the bootstrap's, of blocks of rounds, stretched
 * for as few as there were.
 *
 * The control asks how far the middle would be off if each mapping's rounds were one number: what a
 * round pulls it by (nothing beyond the quartiles, so one that is far off pulls no more than they do) is
 * summed over each mapping of either side, and from those sums' squares that of the rounds alone is taken.
 */

#include "verdict/verdict.h"

#include <math.h>
#include <string.h>

#include "base/buffer.h"
#include "verdict/chance.h"
#include "verdict/statistics.h"

#define BEYOND 0.01 /* faster or slower */
#define WITHIN 0.02 /* the same */
#define DRAWS 1000
#define MAX_ROUNDS 2048

struct course {
	double values[MAX_ROUNDS];
	uint8_t old_lane[MAX_ROUNDS], new_lane[MAX_ROUNDS];
	size_t n;
	double middle;
	double drawn[DRAWS]; /* middles that might as well have been */
	double old_ns, new_ns;
};

struct judgement {
	struct course courses[ROUND_MAX_COURSES];
	struct chance chance;
	double scratch[MAX_ROUNDS];
};

/* Where nothing ran undisturbed (threads of its own are what disturbs it), all counts. */
static bool all_count(const struct round *rounds, size_t n, unsigned *ret_disturbed)
{
	size_t disturbed = 0;

	for (size_t i = 0; i < n; i++)
		disturbed += rounds[i].disturbed;
	*ret_disturbed = (unsigned)disturbed;
	return disturbed * 4 > n * 3;
}

static void sort_out(struct judgement *j, const struct round *rounds, size_t n, struct verdict *v)
{
	bool all = all_count(rounds, n, &v->n_disturbed);

	for (size_t i = 0; i < n; i++) {
		const struct round *r = &rounds[i];
		struct course *c = &j->courses[r->course];

		if ((r->disturbed && !all) || c->n == MAX_ROUNDS)
			continue;
		c->old_lane[c->n] = r->old_lane;
		c->new_lane[c->n] = r->new_lane;
		c->values[c->n++] = log(r->old_ns) - log(r->new_ns);
	}
}

static double middle_of(struct judgement *j, const struct round *rounds, size_t n, unsigned course, bool old)
{
	size_t k = 0;

	for (size_t i = 0; i < n && k < MAX_ROUNDS; i++)
		if (rounds[i].course == course)
			j->scratch[k++] = log(old ? rounds[i].old_ns : rounds[i].new_ns);
	return exp(statistics_middle_mean(j->scratch, k));
}

/* How much wider an interval of @n numbers' middle half is than it looks. */
static double stretch(size_t n)
{
	return statistics_few_99((unsigned)(n - 2 * (n / 4) - 1)) * sqrt((double)n / (double)(n - 1));
}

static void draw(struct judgement *j, struct course *c)
{
	struct statistics_deck deck = statistics_deck_make(c->values, c->n);
	double wider = stretch(c->n);

	memcpy(j->scratch, c->values, c->n * sizeof(*c->values));
	c->middle = statistics_middle_mean(j->scratch, c->n);
	for (unsigned i = 0; i < DRAWS; i++)
		c->drawn[i] = c->middle + wider * (statistics_redrawn_mean(&deck, &j->chance) - c->middle);
	statistics_deck_fini(&deck);
}

/* Between which two of @values, sorted here, 99 % lie. */
static void interval(double *values, double *ret_low, double *ret_high)
{
	statistics_sort(values, DRAWS);
	*ret_low = exp(statistics_quantile(values, DRAWS, 0.005));
	*ret_high = exp(statistics_quantile(values, DRAWS, 0.995));
}

static bool counts(const struct course *c)
{
	return c->n >= VERDICT_MIN_ROUNDS;
}

static void judge_courses(struct judgement *j, const struct round *rounds, size_t n, struct verdict *v)
{
	double drawn[DRAWS] = { 0 }, middle = 0;

	for (unsigned i = 0; i < ROUND_MAX_COURSES; i++) {
		struct course *c = &j->courses[i];
		struct verdict_course *ret = &v->courses[i];

		if (!counts(c))
			continue;
		draw(j, c);
		middle += c->middle;
		for (unsigned k = 0; k < DRAWS; k++)
			drawn[k] += c->drawn[k];
		ret->ratio = exp(c->middle);
		ret->old_ns = middle_of(j, rounds, n, i, true);
		ret->new_ns = middle_of(j, rounds, n, i, false);
		interval(c->drawn, &ret->low, &ret->high);
		v->n_rounds += (unsigned)c->n;
		v->n_courses++;
	}
	for (unsigned k = 0; k < DRAWS && v->n_courses; k++)
		drawn[k] /= v->n_courses;
	v->ratio = v->n_courses ? exp(middle / v->n_courses) : 1;
	interval(drawn, &v->low, &v->high);
}

/* The control */

/* What a side's mappings have to do with the middle. */
struct pulls {
	double of[ROUND_MAX_LANES];
	bool there[ROUND_MAX_LANES];
};

static void pull(struct pulls *p, unsigned lane, double by)
{
	p->of[lane] += by;
	p->there[lane] = true;
}

/* The middle's variance, were mappings all that differs; @ret_n: how many there are. */
static double variance_of(const struct pulls *p, unsigned *ret_n)
{
	double sum = 0;

	*ret_n = 0;
	for (unsigned i = 0; i < ROUND_MAX_LANES; i++) {
		sum += p->of[i] * p->of[i];
		*ret_n += p->there[i];
	}
	return *ret_n > 1 ? sum * *ret_n / (*ret_n - 1) : 0;
}

/* How far each round of @c pulls the middle of all, to its mappings; the sum of squares. */
static double pull_all(struct judgement *j, const struct course *c, unsigned n_courses, struct pulls *old,
		       struct pulls *new)
{
	size_t cut = c->n / 4;
	double low, high, mean = 0, squares = 0;

	memcpy(j->scratch, c->values, c->n * sizeof(*c->values));
	statistics_sort(j->scratch, c->n);
	low = j->scratch[cut];
	high = j->scratch[c->n - 1 - cut];
	for (size_t i = 0; i < c->n; i++)
		mean += fmin(fmax(c->values[i], low), high) / (double)c->n;
	for (size_t i = 0; i < c->n; i++) {
		double by = (fmin(fmax(c->values[i], low), high) - mean) / (double)(c->n - 2 * cut) / n_courses;

		pull(old, c->old_lane[i], by);
		pull(new, c->new_lane[i], by);
		squares += by * by;
	}
	return squares;
}

static void check_control(struct judgement *j, struct verdict *v)
{
	struct pulls old = { .of = { 0 } }, new = { .of = { 0 } };
	double noise = 0, variance;
	unsigned n_old, n_new;

	for (unsigned i = 0; i < ROUND_MAX_COURSES; i++)
		if (counts(&j->courses[i]))
			noise += pull_all(j, &j->courses[i], v->n_courses, &old, &new);
	variance = variance_of(&old, &n_old) + variance_of(&new, &n_new) - 2 * noise;
	v->n_lanes = n_old < n_new ? n_old : n_new;
	v->control = v->n_lanes < 2 ? BEYOND : 2.576 * statistics_few_99(v->n_lanes - 1) * sqrt(fmax(variance, 0));
}

/* Two reasons to doubt, which have nothing to do with each other. */
static void widen(double ratio, double control, double *low, double *high)
{
	*low = ratio * exp(-hypot(log(ratio / *low), control));
	*high = ratio * exp(hypot(log(*high / ratio), control));
}

static enum verdict_kind kind_of(const struct verdict *v)
{
	if (!v->n_courses)
		return VERDICT_UNSURE;
	if (v->low > 1 + BEYOND)
		return VERDICT_FASTER;
	if (v->high < 1 - BEYOND)
		return VERDICT_SLOWER;
	return v->low > 1 - WITHIN && v->high < 1 + WITHIN ? VERDICT_SAME : VERDICT_UNSURE;
}

void verdict_judge(const struct round *rounds, size_t n, uint64_t seed, struct verdict *ret)
{
	static struct judgement j; /* half a megabyte; one thread judges */

	memset(&j, 0, sizeof(j));
	j.chance.state = seed;
	*ret = (struct verdict){ .ratio = 1 };
	sort_out(&j, rounds, n, ret);
	judge_courses(&j, rounds, n, ret);
	check_control(&j, ret);
	if (ret->n_courses)
		widen(ret->ratio, ret->control, &ret->low, &ret->high);
	for (unsigned i = 0; i < ROUND_MAX_COURSES; i++)
		if (ret->courses[i].old_ns > 0)
			widen(ret->courses[i].ratio, ret->control, &ret->courses[i].low, &ret->courses[i].high);
	ret->kind = kind_of(ret);
}

const char *verdict_name(enum verdict_kind kind)
{
	static const char *const names[] = {
		[VERDICT_UNSURE] = "UNSURE",
		[VERDICT_SAME] = "SAME",
		[VERDICT_FASTER] = "FASTER",
		[VERDICT_SLOWER] = "SLOWER",
	};

	return names[kind];
}

void verdict_describe(const struct verdict *v, struct buffer *ret)
{
	if (v->kind == VERDICT_SLOWER) {
		buffer_printf(ret, "%.2f× slower [%.2f, %.2f]", 1 / v->ratio, 1 / v->high, 1 / v->low);
		return;
	}
	if (v->kind == VERDICT_FASTER)
		buffer_printf(ret, "%.2f× faster", v->ratio);
	else
		buffer_puts(ret, v->kind == VERDICT_SAME ? "same speed" : "speed unsure");
	buffer_printf(ret, " [%.2f, %.2f]", v->low, v->high);
}
