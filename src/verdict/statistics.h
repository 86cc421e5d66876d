/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Statistics
 *
 * Of numbers that are mostly well behaved, a few of which are far off: means without the tails, and
 * how sure one can be of them.
 */

#include <stddef.h>

struct chance;

/* The mean of the middle half. @values are sorted; @n > 0. */
double statistics_middle_mean(double *values, size_t n);

/* What redrawing needs of @n numbers. */
struct statistics_deck {
	double *sorted;
	unsigned *rank;  /* of each number, as they came */
	unsigned *count; /* scratch */
	size_t n;
};

/* @values, neighbours in time, are read in the call only. */
struct statistics_deck statistics_deck_make(const double *values, size_t n);
void statistics_deck_fini(struct statistics_deck *d);

/*
 * The middle mean of what the numbers may as well have been: as many of them, drawn with putting
 * back, in blocks of neighbours, for what disturbs one disturbs the next.
 */
double statistics_redrawn_mean(struct statistics_deck *d, struct chance *c);

/* Of @n sorted numbers, that below which the share @p lies. */
double statistics_quantile(const double *sorted, size_t n, double p);

void statistics_sort(double *values, size_t n);

/*
 * How much farther than the normal distribution's 99 % those of Student's reach, with @degrees of
 * freedom > 0: what few numbers don't tell of their own spread.
 */
double statistics_few_99(unsigned degrees);
