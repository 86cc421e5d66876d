/* SPDX-License-Identifier: MIT */
#include "worker/device_memory.h"

#include <stdlib.h>

#include "base/memory.h"

struct block {
	struct block *next;
	cuda_address at;
};

struct device_memory {
	unsigned n_users;
	struct block *blocks;
};

struct device_memory *device_memory_ref(struct device_memory *m)
{
	if (!m)
		m = xcalloc(1, sizeof(*m));
	m->n_users++;
	return m;
}

void device_memory_unref(const struct device *d, struct device_memory *m)
{
	if (--m->n_users)
		return;
	for (struct block *b = m->blocks, *next; b; b = next) {
		next = b->next;
		d->driver->release(b->at);
		free(b);
	}
	free(m);
}

cuda_result device_memory_take(const struct device *d, struct device_memory *m, uint64_t size, cuda_address *ret)
{
	cuda_result r = d->driver->allocate(ret, size ? size : 1);
	struct block *b;

	if (r != 0)
		return r;
	b = xcalloc(1, sizeof(*b));
	b->at = *ret;
	b->next = m->blocks;
	m->blocks = b;
	return 0;
}

void device_memory_give(const struct device *d, struct device_memory *m, cuda_address where, cuda_stream stream)
{
	for (struct block **at = &m->blocks; *at; at = &(*at)->next) {
		struct block *b = *at;

		if (b->at != where)
			continue;
		*at = b->next;
		d->driver->stream_synchronize(stream);
		d->driver->release(b->at);
		free(b);
		return;
	}
}
