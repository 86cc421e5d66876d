/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Suggestion
 *
 * The likeliest of several words for a misspelt one.
 */

#include <stddef.h>

struct suggestion {
	const char *word;
	const char *best; /* borrowed; NULL: nothing is near */
	size_t distance;
};

void suggestion_consider(struct suggestion *s, const char *candidate);
