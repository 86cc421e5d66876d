/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sparkline
 *
 * Numbers as a row of blocks, ▁ the least and █ the greatest of them; a gap where there is none (NAN).
 */

#include <stddef.h>

struct buffer;

/* The last @columns of them. */
void sparkline(struct buffer *ret, const double *values, size_t n, size_t columns);
