/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Image
 *
 * One shared object, mapped into this worker. glibc hands back the old mapping for a path,
 * or an inode, that is still open: every path comes here once in a worker's life, and that
 * is checked. The file was inspected by the server before; here only what cannot be known
 * without mapping is checked.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <devserve/deployment.h>

struct image {
	void *dl;
	const struct devserve_deployment *entry; /* inside the mapping */
	uintptr_t base;                          /* where it was mapped */
	void *self;                              /* what create() left */
	uint32_t n_in, n_out;
	uint32_t generation;
};

/*
 * Map @path and create(). 0, or an errno (positive) with a sentence in @sentence. [control]
 */
int image_open(struct image *ret, const char *path, const struct devserve_host *host,
	       char *sentence, size_t size);

/* destroy() and unmap. Whether the mapping is really gone. [control] */
bool image_close(struct image *image);
