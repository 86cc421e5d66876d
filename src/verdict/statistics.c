/* SPDX-License-Identifier: MIT */
#include "verdict/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "verdict/chance.h"

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

void statistics_sort(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
}

double statistics_middle_mean(double *values, size_t n)
{
	size_t cut = n / 4;
	double sum = 0;

	statistics_sort(values, n);
	for (size_t i = cut; i < n - cut; i++)
		sum += values[i];
	return sum / (double)(n - 2 * cut);
}

struct pair {
	double value;
	unsigned at;
};

static int compare_pairs(const void *a, const void *b)
{
	return compare(&((const struct pair *)a)->value, &((const struct pair *)b)->value);
}

struct statistics_deck statistics_deck_make(const double *values, size_t n)
{
	struct statistics_deck d = { .sorted = xcalloc(n, sizeof(*d.sorted)), .rank = xcalloc(n, sizeof(*d.rank)),
				     .count = xcalloc(n, sizeof(*d.count)), .n = n };
	struct pair *pairs = xcalloc(n, sizeof(*pairs));

	for (size_t i = 0; i < n; i++)
		pairs[i] = (struct pair){ values[i], (unsigned)i };
	qsort(pairs, n, sizeof(*pairs), compare_pairs);
	for (size_t i = 0; i < n; i++) {
		d.sorted[i] = pairs[i].value;
		d.rank[pairs[i].at] = (unsigned)i;
	}
	free(pairs);
	return d;
}

void statistics_deck_fini(struct statistics_deck *d)
{
	free(d->sorted);
	free(d->rank);
	free(d->count);
}

static void redraw(struct statistics_deck *d, struct chance *c)
{
	size_t n = d->n, block = n < 8 ? 1 : (size_t)cbrt((double)n);

	memset(d->count, 0, n * sizeof(*d->count));
	for (size_t i = 0; i < n;) {
		size_t at = chance_below(c, (unsigned)n);

		for (size_t k = 0; k < block && i < n; k++, i++)
			d->count[d->rank[(at + k) % n]]++;
	}
}

/* Counted by rank they are sorted already. */
double statistics_redrawn_mean(struct statistics_deck *d, struct chance *c)
{
	size_t skip = d->n / 4, take = d->n - 2 * skip;
	double sum = 0;

	redraw(d, c);
	for (size_t i = 0, left = take; left > 0; i++) {
		size_t there = d->count[i], skipped = there < skip ? there : skip;

		skip -= skipped;
		there -= skipped;
		there = there < left ? there : left;
		sum += (double)there * d->sorted[i];
		left -= there;
	}
	return sum / (double)take;
}

double statistics_quantile(const double *sorted, size_t n, double p)
{
	double at = p * (double)(n - 1);
	size_t below = (size_t)at;

	if (below + 1 >= n)
		return sorted[n - 1];
	return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

double statistics_few_99(unsigned degrees)
{
	static const double exact[] = { 24.71, 3.853, 2.267, 1.787, 1.565, 1.439, 1.358, 1.302 };
	double n = degrees;

	if (degrees <= sizeof(exact) / sizeof(*exact))
		return exact[degrees - 1];
	return 1 + 1.909 / n + 3.43 / (n * n); /* Fisher's expansion, within a hundredth */
}
