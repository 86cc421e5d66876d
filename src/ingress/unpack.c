/* SPDX-License-Identifier: MIT */

/*
 * zlib does it. A gzip body may consist of several members, one behind the other, as the
 * format has it; behind a zlib stream nothing may come. Raw deflate, which some clients of
 * old sent as "deflate", is refused: what can be read in two ways isn't read.
 */

#include "ingress/unpack.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

struct unpack {
	z_stream z;
	enum coding coding;
	bool begun, ended;
};

/* zlib's: the largest window, +16 for gzip's format. */
static int window_of(enum coding c)
{
	return c == CODING_GZIP ? 15 + 16 : 15;
}

struct unpack *unpack_new(enum coding c)
{
	struct unpack *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->coding = c;
	if (inflateInit2(&u->z, window_of(c)) == Z_OK)
		return u;
	free(u);
	return NULL;
}

struct unpack *unpack_free(struct unpack *u)
{
	if (u)
		inflateEnd(&u->z);
	free(u);
	return NULL;
}

void unpack_reset(struct unpack *u, enum coding c)
{
	inflateReset2(&u->z, window_of(c));
	u->coding = c;
	u->begun = u->ended = false;
}

static uInt bounded(size_t size)
{
	return size < UINT_MAX ? (uInt)size : UINT_MAX;
}

/* Another member begins, if one may. */
static bool begin_member(struct unpack *u)
{
	if (u->ended && u->coding != CODING_GZIP)
		return false;
	if (u->ended)
		inflateReset(&u->z);
	u->begun = true;
	u->ended = false;
	return true;
}

int unpack_step(struct unpack *u, const char **bytes, size_t *size, char *to, size_t room,
		size_t *ret_size)
{
	z_stream *z = &u->z;
	int r = Z_OK;

	z->next_out = (Bytef *)to;
	z->avail_out = bounded(room);
	*ret_size = 0;
	do {
		uInt n = bounded(*size);

		if ((u->ended || !u->begun) && !n)
			return UNPACK_MORE;
		if ((u->ended || !u->begun) && !begin_member(u))
			return UNPACK_BAD;
		z->next_in = (z_const Bytef *)*bytes;
		z->avail_in = n;
		r = inflate(z, Z_NO_FLUSH);
		*bytes += n - z->avail_in;
		*size -= n - z->avail_in;
		*ret_size = (size_t)((char *)z->next_out - to);
		u->ended = r == Z_STREAM_END;
		if (r != Z_OK && r != Z_BUF_ERROR && r != Z_STREAM_END)
			return UNPACK_BAD;
	} while (z->avail_out && *size);
	return z->avail_out ? UNPACK_MORE : UNPACK_FULL;
}

bool unpack_is_whole(const struct unpack *u)
{
	return u->ended || !u->begun;
}
