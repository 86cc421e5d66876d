/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Judge
 *
 * Holds an answer against the one that was given to the same request, and puts into words what it
 * finds.
 */

#include <stdbool.h>
#include <stdint.h>

#include "compare/compare.h"
#include "ring/proof.h"

struct image;
struct recording;
struct rehearsal;

struct judge {
	const struct image *image;
	const struct recording *recording;
	const char *base;                   /* what its offsets count from */
	const struct rehearsal *rehearsal;  /* has just run it */
	const struct proof_tolerance *tolerances;
	uint32_t expected; /* bit i: output i is to be compared */
	bool by_shape;     /* its numbers may be others; no NaN where all was numbers */
};

/* What @t allows an output of @dtype. */
struct tolerance judge_tolerance(const struct proof_tolerance *t, uint32_t dtype);

/*
 * The first of its outputs that is at fault counts. @report's differences grow; @ret_fault, where it is at fault, gets all but
 * the case. [infer]
 */
enum proof_outcome judge_answer(const struct judge *j, struct proof_report *report, struct proof_fault *ret_fault);
