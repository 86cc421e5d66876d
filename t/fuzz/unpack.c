/* SPDX-License-Identifier: MIT */

/*
 * Any bytes are a packed body. What becomes of them, and whether they are refused, must not
 * depend on the pieces they come in or on the room there is for what they become; nor is one
 * byte written beyond that room. The first byte says how to cut, its lowest bit which coding.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "ingress/unpack.h"

#define LIMIT (1 << 20) /* as a server has one */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int add(struct unpack *u, const char *bytes, size_t size, size_t room, struct buffer *ret)
{
	int r;

	do {
		char *to = malloc(room); /* of exactly that size: writing beyond is seen */
		size_t n = 0, before = size;

		assert(to);
		r = unpack_step(u, &bytes, &size, to, room, &n);
		assert(n <= room && size <= before);
		assert(r != UNPACK_MORE || size == 0);
		assert(r != UNPACK_FULL || n == room);
		buffer_append(ret, to, n);
		free(to);
	} while (r == UNPACK_FULL && ret->size < LIMIT);
	return r;
}

/* How it ended: UNPACK_MORE is a whole stream, UNPACK_FULL one that is cut off or too long. */
static int unpack_all(enum coding c, const char *bytes, size_t size, size_t piece, size_t room,
		      struct buffer *ret)
{
	struct unpack *u = unpack_new(c);
	int r = UNPACK_MORE;

	assert(u);
	for (size_t at = 0; at < size && r == UNPACK_MORE && ret->size < LIMIT; at += piece)
		r = add(u, bytes + at, size - at < piece ? size - at : piece, room, ret);
	if (r == UNPACK_MORE && (!unpack_is_whole(u) || ret->size >= LIMIT))
		r = UNPACK_FULL;
	unpack_free(u);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct buffer whole = BUFFER_NULL, pieces = BUFFER_NULL;
	enum coding c;
	size_t cut;
	int a, b;

	if (size < 2)
		return 0;
	c = bytes[0] & 1 ? CODING_GZIP : CODING_DEFLATE;
	cut = (size_t)(bytes[0] >> 1) + 1;
	a = unpack_all(c, (const char *)bytes + 1, size - 1, size, LIMIT + 1, &whole);
	if (whole.size < LIMIT) {
		b = unpack_all(c, (const char *)bytes + 1, size - 1, cut, cut * 7, &pieces);
		assert(a == b);
		/* Of what is refused, more or less may have been written before that was seen. */
		assert(a == UNPACK_BAD || whole.size == pieces.size);
		cut = whole.size < pieces.size ? whole.size : pieces.size;
		assert(!cut || memcmp(whole.data, pieces.data, cut) == 0);
	}
	buffer_fini(&whole);
	buffer_fini(&pieces);
	return 0;
}
