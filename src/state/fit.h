/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Fit
 *
 * Whether the state that one image left can become that of another, and how: the one place where
 * it is decided. The server asks before a rollout, each worker of what it has.
 */

#include <stdbool.h>
#include <stdint.h>

#include "state/plan.h"

struct buffer;
struct layout;

struct state_shape {
	uint64_t size; /* bytes */
	uint32_t version; /* the author's */
	const struct layout *layout; /* NULL: not known */
};

enum state_fit {
	STATE_SAME,    /* it stays where it is */
	STATE_COPIED,  /* by the plan, by name */
	STATE_MIGRATED, /* by the image's migrate() */
	STATE_MISFIT,  /* not at all; the sentence says why */
};

/*
 * @migrates: the image has a migrate(). @ret is made wherever both layouts are known, and has what
 * can be copied also where more is needed; else it is PLAN_NULL. plan_fini() it in any case.
 */
enum state_fit state_fit(const struct state_shape *from, const struct state_shape *to, bool migrates,
			 struct plan *ret, struct buffer *why);

/*
 * What an author should know of STATE_COPIED: what is new, what is lost. Nothing: nothing. @back: what
 * is new comes out of the copy from before (state/before.h).
 */
void state_fit_tell(const struct plan *p, bool back, struct buffer *ret);
