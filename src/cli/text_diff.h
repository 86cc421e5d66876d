/* SPDX-License-Identifier: MIT */
#pragma once

/* Two texts compared by diff(1), in its unified form. */

#include <stdbool.h>

struct buffer;

/*
 * Append what @before and @after (strings; NULL: there is none) differ by to @ret, nothing where they
 * don't; the labels are what the files are called. 0; or the status to exit with and a sentence.
 */
int text_diff(const char *before, const char *after, const char *label_before, const char *label_after, bool color,
	      struct buffer *ret, struct buffer *why);
