/* SPDX-License-Identifier: MIT */
#include "record/allowance.h"

void allowance_earn(struct allowance *a, uint64_t now_ns)
{
	uint64_t earned_ns = now_ns > a->seen_ns ? (now_ns - a->seen_ns) / ALLOWANCE_SHARE : 0;

	if (!a->seen_ns || earned_ns > (uint64_t)(a->most_ns - a->saved_ns))
		a->saved_ns = a->most_ns;
	else
		a->saved_ns += (int64_t)earned_ns;
	a->seen_ns = a->seen_ns ? a->seen_ns + earned_ns * ALLOWANCE_SHARE : now_ns;
}

void allowance_spend(struct allowance *a, uint64_t ns)
{
	a->saved_ns -= (int64_t)ns;
}
