/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * State layout
 *
 * Whether the state of an image holds pointers, asked of devserve-debug in a process of its
 * own, for debug information may be wrong or made to hurt. Loop's thread only.
 */

#include <stdbool.h>
#include <uv.h>

struct state_layout;

/*
 * @refused: @sentence says which pointer. Not @refused and a @sentence: it could not be told,
 * and why. The struct state_layout is gone afterwards.
 */
typedef void (*state_layout_fn)(void *context, bool refused, const char *sentence);

/* 0, or -errno. @on_done comes later, never during this call. */
int state_layout_look(uv_loop_t *loop, const char *image, state_layout_fn on_done, void *context,
		      struct state_layout **ret);

/* No callback comes any more. NULL is fine. Returns NULL. */
struct state_layout *state_layout_abandon(struct state_layout *l);
