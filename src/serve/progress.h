/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Progress
 *
 * What is being built now and, until the server is ready, how many of how many first builds
 * have ended. Made from events.
 */

#include <stdbool.h>
#include <stddef.h>

struct buffer;
struct event;
struct progress;

struct progress *progress_new(void);
/* NULL is fine. Returns NULL. */
struct progress *progress_free(struct progress *p);

/* Every event. Whether something is different now. */
bool progress_take(struct progress *p, const struct event *e);

/* First builds that have ended, and how many there are; 0, 0 once the server is ready. */
void progress_count(const struct progress *p, size_t *ret_done, size_t *ret_all);

/* Append "building 12/50  matmul, softmax"; nothing if nothing is being built. */
void progress_describe(const struct progress *p, struct buffer *b);
