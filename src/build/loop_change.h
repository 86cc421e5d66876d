/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Loop change
 *
 * What became of a loop between two generations.
 */

#include <stdbool.h>
#include <stddef.h>

struct loops;

struct loop_change { /* borrows from the loops that it is about */
	const char *file;
	unsigned line, column; /* now */
	bool vectorised;       /* it is now, and wasn't; or it was, and isn't any more: */
	const char *reason;    /* or NULL */
	unsigned bytes, lanes; /* of the vectors; one of them, or none, is known */
};

/*
 * Loops that are there before and now, with another answer to whether they are vectorised, in the
 * order of their places. A nest works with vectors if a loop of it does, whichever: it is told when
 * the last one goes or the first one comes, by its innermost loop or the one that has the vectors.
 * A loop that can't be told from others is left out. Returns how many;
 * *@ret is to be freed.
 */
size_t loops_compare(const struct loops *before, const struct loops *now, struct loop_change **ret);
