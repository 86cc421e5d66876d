/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reference
 *
 * The host's side of <devserve/ext/reference.h>: an image's own answer in double precision.
 */

#include <stdint.h>

#include <devserve/deployment.h>

struct call;
struct image;
struct recording;

/* Of one call; NULL where an output is no float. */
struct reference {
	double *outputs[DEVSERVE_MAX_TENSORS];
};

/*
 * Of @rec, whose inputs lie from @base on, and which @call answered. 0, or -ENOENT: the image offers none, or
 * none for that request. [infer]
 */
int reference_compute(const struct image *image, const struct recording *rec, const char *base,
		      const struct call *call, struct reference *ret);
void reference_fini(struct reference *r);
