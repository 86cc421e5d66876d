/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Pin
 *
 * A generation that is pinned keeps what it takes to serve again, and its sources, whatever the
 * bounds of the history are. May be called beside a server that writes.
 */

#include <stdbool.h>
#include <stdint.h>

struct buffer;

/*
 * @generation 0: what serves, or served last. @ret: which it was. 0; or a result of
 * history/database.h with a sentence: nothing has changed.
 */
int history_pin(const char *state_dir, const char *deployment, uint32_t generation, bool pinned, uint32_t *ret,
		struct buffer *why);
