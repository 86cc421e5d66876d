/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Growth
 *
 * Two correct sums of the same numbers differ by the order in which they were taken. Which of
 * them is right only more digits can tell: how far each is from the same computed in double
 * precision. A new answer may be as far off as the old one was, and as much again.
 */

#include <stdbool.h>
#include <stdint.h>

struct growth {
	double before, after; /* greatest distance of a finite element from the reference */
	uint64_t at;          /* where it is after */
	double floor;         /* what rounding of the largest element alone may come to */
	uint64_t n_strange;   /* elements that are no number, or infinite, where the reference isn't */
};

/* @n elements each of a floating @dtype; the reference is FP64. */
void growth_measure(uint32_t dtype, const void *before, const void *after, const double *reference,
		    uint64_t n, struct growth *ret);

/* Whether @g.after is at most twice what it was, and the floor. */
bool growth_is_fine(const struct growth *g);
