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

#include "ring/link.h"

struct gpu;
struct host_code;
struct layout;
struct threads;
struct weights;

struct image {
	void *dl;
	const struct devserve_deployment *entry; /* inside the mapping */
	uintptr_t base, end;                     /* where it was mapped */
	void *self;                              /* what create() left */
	struct weights *weights;                 /* or NULL */
	struct threads *threads;                 /* those that it starts */
	struct gpu *gpu;                         /* what it has there; NULL: it needs none */
	struct layout *layout;                   /* of its state; NULL: not known */
	struct host_code *code;                  /* who else uses the mapping */
	uint32_t n_in, n_out;
	uint32_t generation;
};

/*
 * Map @load->image with its weights, and create(). As a LINK_TRIAL also what the image checks itself
 * by, and whether it takes the state over. 0, or an errno (positive) with @sentence. [control]
 *
 * If @serving is of the very same host code and differs in device code alone, its mapping is
 * shared, and create() is not run again. @flags: of LINK_LOAD.
 */
int image_open(struct image *ret, const struct link_load *load, unsigned flags, const struct image *serving,
	       char *sentence, size_t size);

/* destroy() and unmap, as far as that goes. [control] */
enum link_unloaded image_close(struct image *image);

/* The extension that the image offers under @id, or NULL. [any] */
const struct devserve_extension *image_extension(const struct image *image, const char *id);
