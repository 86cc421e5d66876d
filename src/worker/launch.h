/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Launch
 *
 * A kernel by its name. What can be told of a wrong launch is told before it, for the GPU says
 * little, late, and for good.
 */

#include <devserve/ext/cuda.h>

struct gpu;

/* Queue it on the calling thread's lane. 0, or a negative errno: the author was told. */
int launch_kernel(struct gpu *g, const struct devserve_cuda_launch *launch);
