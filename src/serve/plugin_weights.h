/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Plugin's weights
 *
 * They are part of what a plugin is: what lies on disk is copied before it is compared with
 * what was acted on last. A save takes along the set that was newest when it began. The sets
 * of the generation that serves and of the one before are kept, as is what they were mapped
 * from: a worker that is replaced maps it again.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"

struct plugin;
struct weights_job;
struct weights_set;

struct plugin_weights {
	struct weights_set *newest, *serving, *previous; /* or NULL */
	uint64_t read_ns;                                /* that reading `newest` took; save takes it */
	struct weights_job *job;
	uint64_t started_ns, since_ns; /* of the job, and of the check that it holds up */
	bool quiet;
};

/*
 * Look at the files, which are @paths (ending with NULL). Whether
 * `newest` is what lies there; if not they are being read, and plugin_checked() comes then.
 */
bool plugin_weights_look(struct plugin *p, char *const *paths, uint64_t since_ns, bool quiet);

/* @source with the newest weights. */
struct hash plugin_weights_mix(const struct weights_set *set, struct hash source);

/* @set serves now; a reference is taken. */
void plugin_weights_serve(struct plugin *p, struct weights_set *set);

void plugin_weights_fini(struct plugin *p);
