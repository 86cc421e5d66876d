/* SPDX-License-Identifier: MIT */
#include "base/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"

/* A magic number, how many parts there are, then the size of each; parts follow in order. */
#define MAGIC UINT64_C(0x314b434150564544) /* "DEVPACK1" */
#define ALIGNMENT ((size_t)16)

static size_t padded(size_t n)
{
	return (n + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

static void pad(struct buffer *b)
{
	static const char zeros[ALIGNMENT];

	buffer_append(b, zeros, padded(b->size) - b->size);
}

int pack_write(const char *path, const char *const *paths, size_t n)
{
	_cleanup_buffer_ struct buffer all = BUFFER_NULL, parts = BUFFER_NULL;
	uint64_t head[2] = { MAGIC, n };

	if (n > PACK_MAX_PARTS)
		return -E2BIG;
	buffer_append(&all, head, sizeof(head));
	for (size_t i = 0; i < n; i++) {
		size_t before = parts.size;
		uint64_t size;
		int r = file_read(paths[i], &parts);

		if (r < 0)
			return r;
		size = parts.size - before;
		buffer_append(&all, &size, sizeof(size));
		pad(&parts);
	}
	pad(&all);
	buffer_append(&all, buffer_text(&parts), parts.size);
	return file_write(path, all.data, all.size, 0644);
}

/* @sizes are of the file: none is believed. */
static int split(struct pack *p, const uint64_t *sizes, size_t n, size_t size)
{
	size_t at = padded((n + 2) * sizeof(uint64_t));

	p->parts = xcalloc(n + 1, sizeof(*p->parts));
	for (size_t i = 0; i < n; i++) {
		if (at > size || sizes[i] > size - at)
			return -EBADMSG;
		p->parts[i].bytes = p->bytes + at;
		p->parts[i].size = (size_t)sizes[i];
		at += padded((size_t)sizes[i]);
	}
	p->n = n;
	return at == size ? 0 : -EBADMSG;
}

int pack_read(const char *path, struct pack *ret)
{
	_cleanup_buffer_ struct buffer all = BUFFER_NULL;
	struct pack p = { .n = 0 };
	const uint64_t *head;
	size_t size;
	int r = file_read(path, &all);

	if (r < 0)
		return r;
	size = all.size;
	p.bytes = buffer_steal(&all);
	head = (const uint64_t *)(const void *)p.bytes;
	if (size < 2 * sizeof(*head) || head[0] != MAGIC || head[1] > PACK_MAX_PARTS ||
	    head[1] * sizeof(*head) > size - 2 * sizeof(*head))
		r = -EBADMSG;
	else
		r = split(&p, head + 2, (size_t)head[1], size);
	if (r < 0)
		pack_fini(&p);
	else
		*ret = p;
	return r;
}

void pack_fini(struct pack *p)
{
	free(p->bytes);
	free(p->parts);
	*p = (struct pack){ .n = 0 };
}
