/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Room
 *
 * Memory for JSON. Clients decide how much, so that growing may fail here instead of ending
 * the process; and small buffers are kept, so that a request usually finds one.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/* A kept buffer of this thread, or a null one. */
struct buffer room_take(void);

/* Keep the memory of @b, or free it. @b is null then. */
void room_give(struct buffer *b);

/* Make room for @more bytes and the NUL. false: there is no memory, @b is as it was. */
bool room_for(struct buffer *b, size_t more);
