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
#define CHUNK_MAX_LINE 4096   /* size and extensions of one chunk */
#define CHUNK_MAX_TRAILER 16384

enum {
	CHUNK_MORE,  /* all bytes are used up; the body goes on */
	CHUNK_DATA,  /* there is payload */
	CHUNK_END,   /* the body has ended; bytes may be left */
	CHUNK_BAD,   /* malformed, or beyond a limit */
};

struct chunk {
	int state;
	uint64_t left;  /* payload of this chunk that is still to come */
	uint32_t n;     /* chunks seen */
	uint32_t line;  /* bytes of the current line, or of the trailer */
};

#define CHUNK_NULL { .state = 0 }

/*
 * Looks at @bytes; *@ret_used of them are done with, the payload among them is the last
 * *@ret_size of those (CHUNK_DATA only).
 */
int chunk_decode(struct chunk *c, const char *bytes, size_t size, size_t *ret_used,
		 size_t *ret_size);
