/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Plugin's loops
 *
 * Which loops of the generation that serves are vectorised, and the event that tells which of
 * them weren't in the one before, or were. It is found out after the swap, when nobody else wants
 * the processor (build/look.h); what a newer save overtakes is not told.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "build/loops.h"

struct look;
struct plugin;

struct plugin_loops {
	struct look *look;
	struct loops known;
	uint32_t generation; /* that `known` is of; 0: none */
	uint32_t looked_at;  /* that `look` is about */
};

/*
 * @generation has come to serve; @sources is what its build read (struct build_result). If its
 * code is @identical to that of @from there is nothing to find out that isn't known.
 */
void plugin_loops_look(struct plugin *p, uint32_t generation, uint32_t from, bool identical, struct hash sources);

/* What serves is no longer what lies on disk. */
void plugin_loops_abandon(struct plugin *p);

void plugin_loops_fini(struct plugin *p);
