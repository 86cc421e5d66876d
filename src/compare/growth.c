/* SPDX-License-Identifier: MIT */
#include "compare/growth.h"

#include <math.h>

#include "compare/numbers.h"

#define FLOOR_ROUNDINGS 4 /* of the largest element: what nobody is blamed for */

static void take(struct growth *g, uint64_t at, double before, double after, double reference)
{
	if (!isfinite(reference))
		return; /* tolerances tell whether the new one is as the old one */
	if (!isfinite(after)) {
		g->n_strange += isfinite(before);
		return;
	}
	g->floor = fmax(g->floor, fabs(reference));
	if (isfinite(before))
		g->before = fmax(g->before, fabs(before - reference));
	if (fabs(after - reference) > g->after) {
		g->after = fabs(after - reference);
		g->at = at;
	}
}

void growth_measure(uint32_t dtype, const void *before, const void *after, const double *reference,
		    uint64_t n, struct growth *ret)
{
	double old[NUMBERS_BLOCK], new[NUMBERS_BLOCK];

	*ret = (struct growth){ .n_strange = 0 };
	for (uint64_t at = 0; at < n; at += NUMBERS_BLOCK) {
		uint64_t left = n - at < NUMBERS_BLOCK ? n - at : NUMBERS_BLOCK;

		numbers_read(dtype, before, at, left, old);
		numbers_read(dtype, after, at, left, new);
		for (uint64_t i = 0; i < left; i++)
			take(ret, at + i, old[i], new[i], reference[at + i]);
	}
	ret->floor *= FLOOR_ROUNDINGS * numbers_rounding(dtype);
}

bool growth_is_fine(const struct growth *g)
{
	return g->n_strange == 0 && g->after <= 2 * g->before + g->floor;
}
