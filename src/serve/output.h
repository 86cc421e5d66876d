/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Output
 *
 * Lines to a descriptor that may be slow, stopped or gone, written so that the loop never
 * waits for it. Lines are kept whole. At most OUTPUT_LIMIT bytes wait; what comes on top
 * is dropped and counted.
 */

#include <stddef.h>
#include <stdint.h>

#define OUTPUT_LIMIT (UINT64_C(4) << 20)

struct output;

/* @fd stays the caller's, and must stay open. */
struct output *output_new(int fd);

/* Write what waits, but don't take longer than a moment over it. NULL is fine. Returns NULL. */
struct output *output_free(struct output *o);

/* One or more lines, with their '\n'. */
void output_write(struct output *o, const char *text, size_t size);

/* How many writes were dropped since the last call; 0 while there is no room to say so. */
uint64_t output_take_dropped(struct output *o);
