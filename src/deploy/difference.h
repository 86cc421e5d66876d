/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Difference
 *
 * What a call gave, held against what another gave for the same inputs.
 */

#include <stdbool.h>
#include <stdint.h>

#include "compare/compare.h"

struct batch;
struct buffer;

enum difference_kind {
	DIFFERENCE_NONE,
	DIFFERENCE_ERROR,    /* infer() returned one, where the other didn't */
	DIFFERENCE_NONSENSE, /* an output that isn't the call's memory */
	DIFFERENCE_SHAPE,
	DIFFERENCE_VALUES,   /* beyond torch.testing's tolerance */
};

struct difference {
	enum difference_kind kind;
	uint32_t output; /* the first that differs */
	struct comparison comparison; /* of that one: DIFFERENCE_VALUES */
};

/*
 * Of two calls whose outputs have been read (outputs.c); only shapes unless @values. On any thread,
 * as long as both stay.
 */
void difference_measure(const struct batch *expected, const struct batch *got, bool values, struct difference *ret);

/* "it answers Y[3] 2.5 where generation 2 answered 2 (12 of 64 elements differ …)"; both are still there. */
void difference_describe(const struct difference *d, const struct batch *expected, const struct batch *got,
			 struct buffer *ret);
