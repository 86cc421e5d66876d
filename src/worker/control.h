/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Control
 *
 * The thread that maps and unmaps images, so that the serving thread never does: a swap is
 * then the exchange of a pointer between two calls. One order at a time, in order.
 */

#include <stdbool.h>

#include "ring/link.h"
#include "worker/image.h"

struct control;

enum control_order { CONTROL_LOAD, CONTROL_CLOSE, CONTROL_DROP, CONTROL_WARM };

struct control_result {
	enum control_order order;
	struct image image;     /* LOAD: the new one */
	int error;              /* LOAD: 0, or an errno with `sentence` */
	char sentence[1024];
	enum link_unloaded unloaded; /* CLOSE */
};

/* @on_done wakes the serving thread, which then fetches the result. */
struct control *control_new(void (*on_done)(void *context), void *context);

/* Orders queue up; at most 8. [infer] */
/* @flags: of LINK_LOAD. @serving: what serves now, NULL: nothing. */
void control_load(struct control *c, const struct link_load *load, unsigned flags, const struct image *serving);
void control_close(struct control *c, const struct image *image);
/* The same for one that never served. [infer] */
void control_drop(struct control *c, const struct image *image);
/* Make ready for the GPU. [infer] */
void control_warm(struct control *c);

/* A result, if there is one. [infer] */
bool control_take(struct control *c, struct control_result *ret);

/* Whether control_take() has something. [any] */
bool control_ready(struct control *c);

/* Wait until every order has been carried out. [infer] */
void control_drain(struct control *c);
