/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * State layout
 *
 * Where the members of an image's state lie, and whether some are pointers: asked of devserve-debug
 * in a process of its own, for debug information may be wrong or made to hurt. Loop's thread only.
 */

#include <stdbool.h>
#include <uv.h>

struct state_layout;

struct state_layout_result {
	bool refused;         /* a member is a pointer: @sentence says which */
	const char *sentence; /* not @refused: the layout can't be told, and why; NULL: it can */
	const char *text;     /* state/layout.h; NULL: it can't be told */
	size_t size;
};

/* @result lives during the call; the struct state_layout is gone afterwards. */
typedef void (*state_layout_fn)(void *context, const struct state_layout_result *result);

/* 0, or -errno. @on_done comes later, never during this call. */
int state_layout_look(uv_loop_t *loop, const char *image, state_layout_fn on_done, void *context,
		      struct state_layout **ret);

/* No callback comes any more. NULL is fine. Returns NULL. */
struct state_layout *state_layout_abandon(struct state_layout *l);
