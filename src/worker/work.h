/* SPDX-License-Identifier: MIT */
#pragma once

/* The host's side of <devserve/ext/work.h>. */

#include <devserve/deployment.h>

#include "ring/work.h"

struct image;

/* What @call, which @image has run, had to do; zeros: the image doesn't say. [infer] */
struct work work_of(const struct image *image, const struct devserve_call *call);
