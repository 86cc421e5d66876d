/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Built
 *
 * What a save has built, for the history: a copy that outlives the build, with the sources as they
 * were compiled. What has changed since, or is too long to keep, is left out.
 */

#include "history/entry.h"

struct build_result;
struct plugin;

/* The hashes that aren't the builder's are still to be filled in. */
struct history_build *built_new(const struct plugin *p, const struct build_result *result);
/* NULL is fine. Returns NULL. */
struct history_build *built_free(struct history_build *b);
