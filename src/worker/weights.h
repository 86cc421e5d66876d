/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Weights
 *
 * The weights that belong to an image, mapped read-only and shared by all workers that map the
 * same snapshot; the host's side of <devserve/ext/weights.h>.
 */

#include <stddef.h>

struct weights;

/* Map what the index at @path (ring/weights_index.h) lists. "": none. 0, or an errno with @sentence. [control] */
int weights_open(const char *path, struct weights **ret, char *sentence, size_t size);

/* After the image that used them is closed. NULL is fine. Returns NULL. [control] */
struct weights *weights_close(struct weights *w);

/* Those that create() can ask for from now on; NULL: none. [control] */
void weights_offer(struct weights *w);

/* The table of the extension. */
const void *weights_extension(void);
