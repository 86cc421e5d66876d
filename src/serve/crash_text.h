/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Crash text
 *
 * A crash.report for people: the line of source, the call's inputs, the frames.
 */

struct buffer;
struct event;
struct style;

/* Appends lines, all that comes after the sentence that says what happened. */
void crash_text(const struct style *s, struct buffer *b, const struct event *e);

/* The same of a sanitizer.report: and where the memory or the variable comes from. */
void finding_text(const struct style *s, struct buffer *b, const struct event *e);
