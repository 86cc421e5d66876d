/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Blame
 *
 * The last kernels that a call launched: when the GPU says at the end that one of them did what it
 * may not, it doesn't say which.
 */

#include <stddef.h>

#include <devserve/ext/cuda.h>

#define BLAME_MAX 4

struct blame {
	struct blame_launch {
		char kernel[48];
		struct devserve_dim3 grid, block;
	} launches[BLAME_MAX];
	unsigned n; /* that there were, which may be more */
};

void blame_add(struct blame *b, const char *kernel, struct devserve_dim3 grid, struct devserve_dim3 block);

/* "softmax, grid 4×1×1, block 256×1×1": the last one. */
void blame_last(const struct blame *b, char *ret, size_t size);

/* ", in kernel softmax, grid …", or the last few of several; @ret stays as it is if there was none. */
void blame_all(const struct blame *b, char *ret, size_t size);
