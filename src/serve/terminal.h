/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Terminal
 *
 * The sink for people: one calm line a save, what the compiler said as it said it, and
 * what is wrong in a sentence. On stdout.
 */

#include <stdbool.h>

struct events;
struct options;
struct terminal;

struct terminal *terminal_new(struct events *events, const struct options *o);

/* Flushes, for at most a moment. Before events_free(). NULL is fine. Returns NULL. */
struct terminal *terminal_free(struct terminal *t);

/* Whether what goes to @fd may have colour: a terminal that isn't dumb, and no NO_COLOR. */
bool terminal_has_color(int fd, bool no_color);
