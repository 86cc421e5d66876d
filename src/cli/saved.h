/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Saved
 *
 * What a server answers that was asked to wait for a save: what became of it.
 */

struct buffer;
struct client;
struct client_answer;
struct client_options;
struct json_reader;

/*
 * Print what became of the save of @o->name: with --json the answer, else what @say prints of one
 * that serves. The status to exit with, and where that isn't 0 a sentence in @why, unless the answer
 * was printed. @subject: what a server doesn't know that answers otherwise, such as "saves".
 */
int saved_read(const struct client_options *o, const struct client *c, const struct client_answer *a,
	       const char *subject, void (*say)(const char *name, const struct json_reader *r),
	       struct buffer *why);
