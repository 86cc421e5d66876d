/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * State memory
 *
 * The bytes of one state in this worker, and what they are: private memory, where a plugin works
 * on them, or a copy for a trial.
 */

#include <stdint.h>

#include "state/fit.h"

struct layout;

#define STATE_LARGE (UINT64_C(1) << 20) /* then a child copies it, and its pages are large */

struct state_memory {
	void *at; /* NULL: there is none */
	uint64_t size;
	uint32_t version;
	struct layout *layout; /* counted; NULL: not known */
	/* Of what came from a checkpoint: which image had written it, where that was mapped, and … */
	uint32_t generation;
	uint64_t image_low, image_high;
	enum state_fit how; /* … how it became this */
};

/* Zeroed, at @wanted (which must be free) or, NULL, anywhere. @layout: or NULL. 0, or an errno. */
int state_memory_new(uint64_t size, uint32_t version, struct layout *layout, void *wanted, struct state_memory *ret);
void state_memory_free(struct state_memory *m);
/* To an address of the kernel's choice. 0, or an errno. */
int state_memory_move(struct state_memory *m);
