/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Generation
 *
 * One that served once, looked up in the history to serve again. Loop's thread only.
 */

#include <stdint.h>

#include "deploy/deploy.h"
#include "serve/plugin.h"

struct generation_search;
struct weights_set;

struct generation {
	struct plugin *plugin;
	struct plugin_code code;
	struct weights_set *weights; /* that it served with */
	struct rollout rollout;      /* its image and number, with the settings in force */
};

/* @g and all in it live during the call. @error is a sentence, and @g NULL: it can't serve. */
typedef void (*generation_found_fn)(void *context, const struct generation *g, const char *error);

/*
 * Look for generation @number of the deployment @name, or, for 0, for the one before the one that
 * serves. @done comes later, once.
 */
struct generation_search *generation_find(struct plugins *ps, const char *name, uint32_t number,
					  generation_found_fn done, void *context);

/* @done won't come. NULL is fine. Returns NULL. */
struct generation_search *generation_cancel(struct generation_search *s);
