/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * GPU time
 *
 * What a call takes on the GPU, from when its inputs are there until what infer() queued has ended, by
 * the GPU's own clock (cuda/stopwatch.h). Between gpu_begin() and gpu_end(). [infer]
 */

#include <stdbool.h>
#include <stdint.h>

struct gpu;

/* What an image does on streams that aren't ours the stopwatch knows nothing of. NULL is fine. */
bool gpu_time_is_known(const struct gpu *g);

/* 0 or a negative errno: the sentence is kept. */
int gpu_time_start(struct gpu *g);
int gpu_time_stop(struct gpu *g);

/* Of the last call, which has ended; 0: it isn't known. */
uint64_t gpu_time_ns(void);
