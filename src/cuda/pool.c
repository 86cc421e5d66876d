/* SPDX-License-Identifier: MIT */
#include "cuda/pool.h"

#include <stdlib.h>

#include "base/memory.h"

#define ALIGNMENT ((size_t)256)
#define SMALLEST ((size_t)1 << 20)

static size_t align(size_t size)
{
	return size ? (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1) : ALIGNMENT;
}

static cuda_result add_block(struct pool *p, size_t size)
{
	cuda_address at;
	cuda_result r = p->device->driver->allocate(&at, size);

	if (r != 0)
		return r;
	p->blocks = xrealloc(p->blocks, (p->n_blocks + 1) * sizeof(*p->blocks));
	p->n_changes++;
	p->blocks[p->n_blocks++] = (struct pool_block){ .at = at, .size = size };
	return 0;
}

bool pool_has(const struct pool *p, size_t size)
{
	const struct pool_block *last = p->n_blocks ? &p->blocks[p->n_blocks - 1] : NULL;
	size_t whole = align(size);

	return !p->apart && last && whole >= size && whole <= last->size - last->used;
}

cuda_result pool_take(struct pool *p, size_t size, cuda_address *ret)
{
	size_t whole = align(size);
	struct pool_block *last;

	if (whole < size)
		return 2; /* CUDA_ERROR_OUT_OF_MEMORY */
	if (!pool_has(p, size)) {
		cuda_result r = add_block(p, p->apart ? (size ? size : 1) : whole > SMALLEST ? whole : SMALLEST);

		if (r != 0)
			return r;
	}
	last = &p->blocks[p->n_blocks - 1];
	*ret = last->at + last->used;
	last->used += whole;
	return 0;
}

static void release(struct pool *p)
{
	for (size_t i = 0; i < p->n_blocks; i++)
		p->device->driver->release(p->blocks[i].at);
	free(p->blocks);
	p->n_changes++;
	p->blocks = NULL;
	p->n_blocks = 0;
}

void pool_reset(struct pool *p)
{
	size_t total = 0;

	if (p->n_blocks == 1 && !p->apart) {
		p->blocks[0].used = 0;
		return;
	}
	for (size_t i = 0; i < p->n_blocks; i++)
		total += p->blocks[i].size;
	if (!total)
		return;
	release(p);
	if (!p->apart)
		add_block(p, total); /* else the next call asks for what it needs */
}

void pool_fini(struct pool *p)
{
	if (p->device)
		release(p);
	*p = (struct pool){ .device = NULL };
}
