/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Last good
 *
 * The image that served when the server before us ended, kept in the store and named by the
 * record. Where the source on disk can't serve at the start (it doesn't build, or crashed), that
 * image does, under its number, until the source has changed. Loop's thread only.
 */

#include <stdbool.h>

#include "deploy/deploy.h"

struct plugin;
struct weights_set;

/*
 * Roll out what served, with @weights and @settings; @done comes when that has ended, then
 * last_good_serves() has to be told of a swap. False: there is none, or something serves already.
 */
bool last_good_roll(const struct plugin *p, const struct weights_set *weights,
		    const struct deployment_settings *settings, rollout_done_fn done, void *context);

/* The books of @p: it serves. */
void last_good_serves(struct plugin *p);
