/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Verdict
 *
 * What two generations' times say of the change between them. The rules were fixed before
 * anything was measured:
 *
 *	FASTER, SLOWER  the whole interval lies beyond 1 %
 *	SAME            the whole interval lies within 2 %
 *	UNSURE          all else, on a busy machine often
 *
 * The interval has the truth in 99 of 100 cases. It is as wide as rounds differ, and wider by the
 * control: how far mappings of one and the same image differ. What code and heap get of the address
 * space is luck, of which the change knows nothing, and others might be off by as much.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "verdict/round.h"

struct buffer;

enum verdict_kind { VERDICT_UNSURE, VERDICT_SAME, VERDICT_FASTER, VERDICT_SLOWER };

/* Ratios are of times, old by new: 1.34 is 1.34 times as fast. */
struct verdict {
	enum verdict_kind kind;
	double ratio, low, high;
	double control; /* a share, 0.004: mappings of one image make the ratio uncertain by 0.4 % */
	unsigned n_rounds, n_disturbed, n_lanes, n_courses;
	struct verdict_course { /* one input */
		double ratio, low, high;
		double old_ns, new_ns; /* a call */
	} courses[ROUND_MAX_COURSES];
};

/* @seed: of what is drawn. Fewer than VERDICT_MIN_ROUNDS of an input: that one counts for nothing. */
#define VERDICT_MIN_ROUNDS 10
void verdict_judge(const struct round *rounds, size_t n, uint64_t seed, struct verdict *ret);

/* "UNSURE", "SAME", "FASTER", "SLOWER" */
const char *verdict_name(enum verdict_kind kind);

/* "1.34× faster [1.31, 1.37]", "1.03× slower [1.02, 1.04]", "same speed [0.99, 1.01]", "speed unsure [0.91, 1.12]" */
void verdict_describe(const struct verdict *v, struct buffer *ret);
