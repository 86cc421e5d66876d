/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Line map
 *
 * Where the lines of a text are after it was edited: the shortest edit script by lines, found
 * as Eugene Myers does ("An O(ND) Difference Algorithm and Its Variations", 1986).
 */

#include <stddef.h>
#include <stdint.h>

#define LINE_GONE SIZE_MAX

/*
 * Lines are told apart by a hash. ret[i] is where line i of @before is in @after, from 0, or
 * LINE_GONE. The order is kept: of two lines that are there, the first stays the first. After
 * hundreds of edits everything between the first and the last of them counts as gone.
 */
void line_map(const uint32_t *before, size_t n_before, const uint32_t *after, size_t n_after, size_t *ret);

/* A hash for each line of @text, whose indentation doesn't count; free(). */
uint32_t *line_hashes(const char *text, size_t size, size_t *ret_n);
