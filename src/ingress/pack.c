/* SPDX-License-Identifier: MIT */
#include "ingress/pack.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/buffer.h"

#define STEP 16384

struct pack {
	z_stream z;
	enum coding coding;
};

struct pack *pack_new(enum coding c, int level)
{
	struct pack *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->coding = c;
	if (deflateInit2(&p->z, level, Z_DEFLATED, c == CODING_GZIP ? 15 + 16 : 15, 8, Z_DEFAULT_STRATEGY) == Z_OK)
		return p;
	free(p);
	return NULL;
}

struct pack *pack_free(struct pack *p)
{
	if (p)
		deflateEnd(&p->z);
	free(p);
	return NULL;
}

void pack_reset(struct pack *p)
{
	deflateReset(&p->z);
}

enum coding pack_coding(const struct pack *p)
{
	return p->coding;
}

void pack_add(struct pack *p, const void *bytes, size_t size, bool last, struct buffer *to)
{
	z_stream *z = &p->z;

	z->next_in = (z_const Bytef *)bytes;
	z->avail_in = (uInt)size;
	do {
		z->next_out = (Bytef *)buffer_reserve(to, STEP);
		z->avail_out = STEP;
		deflate(z, last ? Z_FINISH : Z_NO_FLUSH);
		buffer_grow(to, STEP - z->avail_out);
	} while (!z->avail_out);
}
