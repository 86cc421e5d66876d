/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Passage
 *
 * How a state that is there, or a checkpoint, becomes the state of an image that declares one:
 * kept, copied by name, migrated, or not at all (state/fit.h).
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "state/fit.h"
#include "worker/state_memory.h"

struct image;

struct passage {
	enum state_fit how;
	struct plan plan;
	struct buffer why; /* of STATE_MISFIT: a sentence */
	const char *path;  /* of the checkpoint, beside which one from before may be; "": there is none */
};

#define _cleanup_passage_ __attribute__((cleanup(passage_fini)))

/* @from: its bytes aren't looked at. @path stays the caller's. passage_fini() it. */
void passage_find(const struct state_memory *from, const struct image *image, const char *path, struct passage *ret);
void passage_fini(struct passage *p);

/*
 * The state of @image from @from, at @wanted (NULL: anywhere), by @p, whose way isn't STATE_SAME.
 * 0, or an errno with @sentence.
 */
int passage_go(const struct passage *p, const struct image *image, const struct state_memory *from, void *wanted,
	       struct state_memory *ret, char *sentence, size_t size);

/*
 * The same from the checkpoint at @path, whatever the way; "", or none there: zero. One that isn't
 * ours counts as none, and the sentence says why.
 */
int passage_from_checkpoint(const struct image *image, const char *path, void *wanted, struct state_memory *ret,
			    char *sentence, size_t size);

/*
 * Whether it has an address in the image that wrote its checkpoint: a clause in @ret, which says what
 * is there if @image is that image's file and not NULL.
 */
bool passage_left_address(const struct state_memory *m, const char *image, struct buffer *ret);
