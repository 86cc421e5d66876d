/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Race
 *
 * Old against new, by turns, until it is plain which is faster or the time is over. The calling
 * thread does it all, bound to one processor meanwhile, and leaves that for another where somebody
 * else has it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "verdict/verdict.h"

struct race {
	unsigned n_lanes;   /* mappings there are of each image; 1 … ROUND_MAX_LANES */
	unsigned n_courses; /* inputs; 1 … ROUND_MAX_COURSES */
	uint64_t budget_ns; /* from the start to the verdict, warming up and all */
	bool remote;        /* another processor's time is taken: to wait for ours costs nothing */
	uint64_t seed;      /* of the order of things */
	/*
	 * Let mapping @lane of the old or the new image run input @course @n times. What that took
	 * goes to @ret_ns, without what else was to be done around it. 0, or a negative errno that
	 * ends the race.
	 */
	int (*run)(void *context, bool old, unsigned lane, unsigned course, unsigned n, uint64_t *ret_ns);
	/* Whether nobody wants to know any more; NULL: somebody does. */
	bool (*unwanted)(void *context);
	void *context;
};

/* 0, -ECANCELED, or what run() returned. */
int race_run(const struct race *r, struct verdict *ret);
