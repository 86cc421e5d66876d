/* SPDX-License-Identifier: MIT */
#pragma once

/* What became of loops, for people: a line for each (loops.changed). */

struct buffer;
struct event;
struct style;

void loops_text(const struct style *s, struct buffer *b, const struct event *e);
