/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Unpack
 *
 * A body that comes packed: bytes in, bytes out, as many as there is room for. Its memory
 * (40 KiB) doesn't depend on what comes. Malformed bytes are told, never guessed at.
 */

#include <stdbool.h>
#include <stddef.h>

#include "ingress/coding.h"

struct unpack;

enum {
	UNPACK_MORE, /* all bytes are used up, and nothing is left to be written */
	UNPACK_FULL, /* the room is used up; there may be more */
	UNPACK_BAD,  /* the bytes are no such stream */
};

/* For gzip or deflate. NULL: there is no memory. */
struct unpack *unpack_new(enum coding c);
struct unpack *unpack_free(struct unpack *u);

/* Begin anew, with another stream of @c. */
void unpack_reset(struct unpack *u, enum coding c);

/* Take from *@bytes, which moves, and write up to @room bytes to @to; *@ret_size: how many it were. */
int unpack_step(struct unpack *u, const char **bytes, size_t *size, char *to, size_t room,
		size_t *ret_size);

/* The stream has come to its end, or hasn't begun. */
bool unpack_is_whole(const struct unpack *u);
