/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Pool
 *
 * Device memory that lasts for one call: taken piece by piece, given back all at once. In steady
 * state nothing is asked of the driver: what one call needed is there for the next. One thread.
 */

#include "cuda/device.h"

struct pool {
	const struct device *device; /* whose context is current */
	struct pool_block {
		cuda_address at;
		size_t size, used;
	} *blocks;
	size_t n_blocks;
	bool apart; /* each piece is an allocation by itself, so that who looks on sees a step past it */
	uint64_t n_changes; /* of its blocks: until the next, the same pieces lie at the same addresses */
};

/* @size bytes at a multiple of 256; 0 bytes are something, too. 0, or what the driver said. */
cuda_result pool_take(struct pool *p, size_t size, cuda_address *ret);

/* Whether pool_take() would ask nothing of the driver. */
bool pool_has(const struct pool *p, size_t size);

/* Nothing of it is used any more. Several blocks become one. */
void pool_reset(struct pool *p);

void pool_fini(struct pool *p);
