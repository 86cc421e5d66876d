/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Round
 *
 * A, B, B, A: one mapping of the old image and one of the new ran the same input by turns, twice
 * each, so that what slowly gets faster or slower meanwhile does so for both; or a half of that, in
 * which case the next one is the other. What is known of their speeds is a list of these.
 */

#include <stdbool.h>
#include <stdint.h>

#define ROUND_MAX_COURSES 4  /* inputs */
#define ROUND_MAX_LANES 8    /* mappings of one image */

struct round {
	uint8_t course, old_lane, new_lane;
	bool disturbed;        /* something else had the processor in each turn of a side */
	double old_ns, new_ns; /* a call, in the quickest of a side's turns; > 0 */
};
