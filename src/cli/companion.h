/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Companion
 *
 * What `devserve canary` and `devserve shadow` have in common: ask for one, end it, or show how it
 * stands.
 */

#include "cli/client.h"

struct buffer;
struct command;
struct json_reader;

struct companion_options {
	struct client_options client; /* the first: its rows have its offsets */
	const char *generation;       /* a number, "off", or NULL: how does it stand? */
	const char *share;            /* "10%", or NULL */
};

/* @kind: "canary" or "shadow", which is the command's name and the route's. The status to exit with. */
int companion_run(const struct command *command, const char *kind, const struct companion_options *o);

/* "10%" as a part of 1; negative: it is none. */
double companion_share(const char *text);

/*
 * The companion of what @path points to ("/deployments/0/companion"), as a sentence without an end:
 * "canary: generation 7 answers 10 % …"; nothing where there is none.
 */
void companion_describe(const struct json_reader *r, const char *path, struct buffer *ret);
