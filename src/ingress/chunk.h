/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Chunk
 *
 * Decodes a chunked body, strictly and in place: each call tells the next piece of
 * payload inside the bytes it was given.
 */

#include <stddef.h>
#include <stdint.h>

#define CHUNK_MAX 65536       /* chunks of one body */
#define CHUNK_MAX_DIGITS 16   /* of a size, leading zeros included */
#define CHUNK_MAX_EXTRA 16384 /* bytes of all extensions and the trailer together */

enum {
	CHUNK_MORE,  /* all bytes are used up; the body goes on */
	CHUNK_DATA,  /* there is payload */
	CHUNK_END,   /* the body has ended; bytes may be left */
	CHUNK_BAD,   /* malformed */
	CHUNK_LIMIT, /* too many chunks, or too much beside the payload */
};

struct chunk {
	int state;
	uint64_t left;   /* payload of this chunk that is still to come */
	uint32_t n;      /* chunks seen */
	uint32_t digits; /* of this chunk's size */
	uint32_t extra;  /* bytes of extensions and trailer */
};

#define CHUNK_NULL { .state = 0 }

/*
 * Looks at @bytes; *@ret_used of them are done with, the payload among them is the last
 * *@ret_size of those (CHUNK_DATA only).
 */
int chunk_decode(struct chunk *c, const char *bytes, size_t size, size_t *ret_used,
		 size_t *ret_size);

/* The last @n bytes of the payload that was told are given again. */
void chunk_unread(struct chunk *c, size_t n);
