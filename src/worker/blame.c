/* SPDX-License-Identifier: MIT */
#include "worker/blame.h"

#include <stdio.h>

static size_t put(const struct blame_launch *l, char *ret, size_t size)
{
	int n = snprintf(ret, size, "%s, grid %u×%u×%u, block %u×%u×%u", l->kernel, l->grid.x, l->grid.y,
			 l->grid.z, l->block.x, l->block.y, l->block.z);

	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

void blame_add(struct blame *b, const char *kernel, struct devserve_dim3 grid, struct devserve_dim3 block)
{
	struct blame_launch *at = &b->launches[b->n++ % BLAME_MAX];

	snprintf(at->kernel, sizeof(at->kernel), "%s", kernel);
	at->grid = grid;
	at->block = block;
}

void blame_last(const struct blame *b, char *ret, size_t size)
{
	put(&b->launches[(b->n - 1) % BLAME_MAX], ret, size);
}

void blame_all(const struct blame *b, char *ret, size_t size)
{
	unsigned n = b->n < BLAME_MAX ? b->n : BLAME_MAX;
	size_t at;

	if (!n)
		return;
	at = (size_t)snprintf(ret, size, n == 1 ? ", in kernel " : ", in one of the kernels ");
	for (unsigned i = 0; i < n && at + 1 < size; i++) {
		if (i)
			at += (size_t)snprintf(ret + at, size - at, "; ");
		if (at < size)
			at += put(&b->launches[(b->n - n + i) % BLAME_MAX], ret + at, size - at);
	}
}
