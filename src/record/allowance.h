/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Allowance
 *
 * Time that may be spent on something beside the work: a small share of the time that passes,
 * saved up to a bound. Who has something left may spend more than that, and waits afterwards.
 * A part of it is only for what matters more.
 */

#include <stdbool.h>
#include <stdint.h>

#define ALLOWANCE_SHARE 512 /* of the time that passes: one part in so many */

struct allowance {
	int64_t saved_ns; /* less than 0: it was spent in advance */
	int64_t most_ns, kept_ns; /* that it may come to; of these for what matters more */
	uint64_t seen_ns; /* when it was last looked at; 0: never, and all of it is there */
};

/* What was earned until now. @now_ns may lie a little back. */
void allowance_earn(struct allowance *a, uint64_t now_ns);

/* Whether something may be done, which matters more or not. */
static inline bool allowance_permits(const struct allowance *a, bool matters)
{
	return a->saved_ns > (matters ? 0 : a->kept_ns);
}

void allowance_spend(struct allowance *a, uint64_t ns);
