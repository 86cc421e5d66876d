/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Acceptance
 *
 * A save was refused because it answers otherwise than before, and its author says that it is meant
 * to: it is rolled out all the same, and what it answers is what golden cases expect from then on.
 *
 *	POST /-/accept?deployment=NAME
 *
 * The answer comes when that has begun: 200, or 4xx with a sentence. How it ends /-/wait tells.
 */

#include <stdbool.h>

struct buffer;
struct exchange;
struct plugin;

/* 0; 1 with a sentence: nothing was refused for that reason, or it has changed since. */
int accept_refused(struct plugin *p, struct buffer *why);

/* Whether a save of @p was refused so, and waits. */
bool accept_is_possible(const struct plugin *p);

/* For route tables; @context: the struct plugins. */
void accept_on_request(void *context, struct exchange *x);
