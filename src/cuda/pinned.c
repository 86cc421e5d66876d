/* SPDX-License-Identifier: MIT */

/*
 * A copy is cut where chunks meet: the driver takes memory of two registrations for memory of
 * none. Of 4 MiB each that costs a few microseconds beside the 80 that the link needs for them.
 */

#include "cuda/pinned.h"

#include <stdlib.h>

#include "base/memory.h"

enum { UNKNOWN, PINNED, REFUSED };

static size_t n_chunks(const struct pinned *p)
{
	return (p->size + PINNED_CHUNK - 1) / PINNED_CHUNK;
}

static size_t size_of(const struct pinned *p, size_t chunk)
{
	size_t at = chunk * PINNED_CHUNK;

	return p->size - at < PINNED_CHUNK ? p->size - at : PINNED_CHUNK;
}

void pinned_set(struct pinned *p, const struct device *d, char *base, size_t size)
{
	if (p->base == base && p->size == size)
		return;
	for (size_t i = 0; p->chunks && i < n_chunks(p); i++)
		if (p->chunks[i] == PINNED)
			p->device->driver->unpin(p->base + i * PINNED_CHUNK);
	free(p->chunks);
	*p = (struct pinned){ .device = d, .base = base, .size = size };
	if (base)
		p->chunks = xcalloc(n_chunks(p), 1);
}

static void pin(struct pinned *p, size_t chunk)
{
	if (p->chunks[chunk] == UNKNOWN)
		p->chunks[chunk] = p->device->driver->pin(p->base + chunk * PINNED_CHUNK, size_of(p, chunk), 0)
				   ? REFUSED : PINNED;
}

/* How much of the @size bytes at @host one copy may take; its chunk is pinned. */
static size_t piece(struct pinned *p, const char *host, size_t size)
{
	size_t at = (size_t)(host - p->base), chunk = at / PINNED_CHUNK;
	size_t left = chunk * PINNED_CHUNK + size_of(p, chunk) - at;

	pin(p, chunk);
	return size < left ? size : left;
}

cuda_result pinned_copy_in(struct pinned *p, cuda_address to, const char *host, size_t size, cuda_stream s)
{
	cuda_result r = 0;

	for (size_t n; size && r == 0; size -= n, host += n, to += n) {
		n = piece(p, host, size);
		r = p->device->driver->copy_in(to, host, n, s);
	}
	return r;
}

cuda_result pinned_copy_out(struct pinned *p, char *host, cuda_address from, size_t size, cuda_stream s)
{
	cuda_result r = 0;

	for (size_t n; size && r == 0; size -= n, host += n, from += n) {
		n = piece(p, host, size);
		r = p->device->driver->copy_out(host, from, n, s);
	}
	return r;
}

/* How much of the @size bytes at @at one copy may take. */
static size_t uncut(const struct pinned *p, cuda_address at, size_t size)
{
	cuda_address base = (uintptr_t)p->base;
	size_t left = PINNED_CHUNK - (size_t)(at - base) % PINNED_CHUNK;

	return !base || at < base || at - base >= p->size || size < left ? size : left;
}

cuda_result pinned_copy(const struct pinned *p, cuda_address to, cuda_address from, size_t size, cuda_stream s)
{
	cuda_result r = 0;
	size_t n;

	do {
		n = uncut(p, to, uncut(p, from, size));
		r = p->device->driver->copy(to, from, n, s);
		size -= n, to += n, from += n;
	} while (size && r == 0);
	return r;
}
