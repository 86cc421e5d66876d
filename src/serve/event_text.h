/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Event text
 *
 * Any event for people: what a compiler or a plugin wrote, as it wrote it, and a line of ours.
 */

#include <stdbool.h>
#include <stddef.h>

struct buffer;
struct event;
struct style;

/*
 * Appends lines, or nothing: many events are for programs alone. Ours is broken where it has more
 * than @columns. @checking: nothing serves, so it is told what could (`devserve check`).
 */
void event_text(const struct style *s, struct buffer *b, const struct event *e, bool checking, size_t columns);
