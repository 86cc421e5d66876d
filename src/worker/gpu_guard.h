/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * GPU guard
 *
 * Where nobody waits for a call, its outputs on the GPU are full of one value before infer(), so what
 * it leaves out is seen, and behind each lie bytes that it may not write. Between gpu_begin()
 * and gpu_end(), but for the last. [infer]
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <devserve/deployment.h>

struct gpu;

/* None of the call's outputs has memory yet. */
void gpu_guard_begin(void);

/* Memory for output @index, @size bytes full of @value; NULL: the sentence is kept. */
void *gpu_guard_make(struct gpu *g, uint32_t index, uint64_t size, unsigned char value);

/* Queue a look behind the outputs. 0 or a negative errno: the sentence is kept. */
int gpu_guard_look(struct gpu *g);

/* After gpu_end(): @ret becomes "wrote 4 bytes past Y FP32[3], in kernel add, grid …". */
bool gpu_guard_is_damaged(const struct devserve_call *call, char *ret, size_t size);
