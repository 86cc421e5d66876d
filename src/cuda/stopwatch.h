/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Stopwatch
 *
 * How long the GPU was busy with what a stream was given between start and stop, by its own clock,
 * which counts in half microseconds. What is read meanwhile comes from the GPU's memory: before it
 * starts the second-level cache is overwritten. That takes longer than to queue a few kernels, so
 * they follow one another without gaps. One thread.
 */

#include "cuda/device.h"

struct stopwatch {
	const struct device *device; /* NULL: it was never started */
	cuda_event start, end;
	cuda_address memory; /* as large as the cache; 0: none, and nothing is overwritten */
};

/* Queue it on @s of @d, which stays the same. 0, or what the driver said. The first time it takes long. */
cuda_result stopwatch_start(struct stopwatch *w, const struct device *d, cuda_stream s);
cuda_result stopwatch_stop(struct stopwatch *w, cuda_stream s);

/* Between the last two; waits for the second of them. */
cuda_result stopwatch_read(const struct stopwatch *w, uint64_t *ret_ns);
