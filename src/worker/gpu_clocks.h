/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * GPU clocks
 *
 * How fast the GPU of an image ran while something was measured, and what slowed it down, as NVML
 * (cuda/nvml.h) has it. Looked at between calls and not often: it takes a part of a millisecond.
 */

#include "ring/measurement.h"

struct gpu;

/* Look, if the last time was a while ago. @g: NULL is fine, and where NVML isn't nothing is noted. [infer] */
void gpu_clocks_note(const struct gpu *g, struct measurement_clocks *clocks);

/* What the bits that nvml_slowdown() names say is told as well, each once, in their order. [infer] */
void gpu_clocks_add(uint64_t slowdowns, struct measurement_clocks *clocks);
