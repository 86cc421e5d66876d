/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Plugin, its books
 *
 * Which generation of it serves, what that was made of, and what a server after us is to know of
 * it. Loop's thread only.
 */

#include <stdint.h>

#include "base/hash.h"

struct deploy_verdict;
struct plugin;
struct plugins;
struct weights_set;

/* What a generation was made of. */
struct plugin_code {
	struct hash source, libraries, image, device;
	struct hash identity; /* of the image, without debug information; zero: not known */
};

/* Generation @generation, made of @code and @weights, came to serve. */
void plugin_serves(struct plugin *p, uint32_t generation, const struct plugin_code *code,
		   struct weights_set *weights);

/* What serves is what a restart is to bring back; unless it is for the sanitizers. */
void plugin_keep(struct plugin *p);

/* Write down the numbers of generations that came to serve; later, for swaps can't wait for it. */
void plugins_write_records(struct plugins *ps);

/* Of one of them, now; with a save under way: that the next number may be taken. */
void plugin_write_record(struct plugin *p);

/* Generation @from of @name crashed, and @to serves again. */
void plugins_fell_back(struct plugins *ps, const char *name, uint32_t from, uint32_t to, const char *why);

/* How fast its generation is against the one before. */
void plugins_judged(struct plugins *ps, const struct deploy_verdict *v);
