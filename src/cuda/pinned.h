/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Pinned
 *
 * Host memory that the GPU reads and writes by itself. A deployment's arena is gigabytes of
 * addresses with little behind them, so it is pinned piece by piece, where tensors come to lie;
 * the allocator uses the same places again and again. Where the system refuses, copies go on
 * from memory as it is, only slower. The GPU knows pages, not addresses: what is pinned must not
 * be unmapped, nor its pages be given back to the system. One thread.
 */

#include "cuda/device.h"

#define PINNED_CHUNK ((size_t)4 << 20)

struct pinned {
	const struct device *device;
	char *base;   /* of the arena, a page's */
	size_t size;
	uint8_t *chunks; /* of each: 0 not asked yet, 1 pinned, 2 refused */
};

/* NULL: none any more; what was pinned is not. Before the memory that was set last is unmapped. */
void pinned_set(struct pinned *p, const struct device *d, char *base, size_t size);

/* Queue a copy of @size bytes between @host, which lies in the arena, and the device. */
cuda_result pinned_copy_in(struct pinned *p, cuda_address to, const char *host, size_t size, cuda_stream s);
cuda_result pinned_copy_out(struct pinned *p, char *host, cuda_address from, size_t size, cuda_stream s);
/* The same between any two places; either may lie in the arena, and nothing is pinned for it. */
cuda_result pinned_copy(const struct pinned *p, cuda_address to, cuda_address from, size_t size, cuda_stream s);
