/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Tensor memory on malloc() that counts, so that a harness sees what wasn't given back.
 */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "infer/memory.h"

#define COUNTED_MOST ((size_t)1 << 20) /* bytes of one block */

static unsigned n_blocks;
static size_t n_charged;

static int counted_reserve(struct infer_memory *m, size_t size, void **ret, uint64_t *ret_block)
{
	(void)m;
	if (size > COUNTED_MOST || posix_memalign(ret, 64, size ? size : 1))
		return -ENOMEM;
	memset(*ret, 0, size);
	n_blocks++;
	*ret_block = (uintptr_t)*ret;
	return 0;
}

static void counted_release(struct infer_memory *m, uint64_t block)
{
	(void)m;
	n_blocks--;
	free((void *)(uintptr_t)block);
}

static int counted_charge(struct infer_memory *m, size_t size)
{
	(void)m;
	n_charged += size;
	return 0;
}

static void counted_discharge(struct infer_memory *m, size_t size)
{
	(void)m;
	assert(size <= n_charged);
	n_charged -= size;
}

#define COUNTED_MEMORY { counted_reserve, counted_release, counted_charge, counted_discharge }
