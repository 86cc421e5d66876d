/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * GPU
 *
 * What an image has on the GPU: its device code, memory that it keeps; and a call's tensors on
 * their way there and back. The host's side of <devserve/ext/cuda.h>. The context, the streams,
 * the pool and pinned memory belong to the process and stay when images change.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <devserve/ext/cuda.h>

#include "cuda/device.h"
#include "ring/link.h"

struct code;
struct device_memory;
struct graphs;

struct gpu { /* of one image */
	const struct device *device;
	struct code *code; /* NULL: it is in the image, or there is none */
	const struct devserve_cuda_deployment *offer; /* NULL: its tensors stay on the host */
	struct device_memory *memory;
	struct graphs *graphs; /* NULL: infer() runs in every call */
};

/* Make the context, so that later nobody waits for it. Without a GPU: nothing. [control] */
void gpu_warm(void);

/*
 * For an image that needs the GPU: the context, and the device code of @load. @before: the same
 * host code's with other device code, whose memory is kept; or NULL. 0, or an errno with
 * @sentence. [control]
 */
int gpu_open(const struct link_load *load, struct gpu *before, struct gpu **ret, char *sentence, size_t size);

/* What the image offers, once it is mapped; NULL: its tensors stay on the host. [control] */
void gpu_set_offer(struct gpu *g, const struct devserve_cuda_deployment *offer);

/* After all that it queued has ended. NULL is fine. Returns NULL. [control] */
struct gpu *gpu_close(struct gpu *g);

/* Wait for everything in the context, what the image's own runtime queued included. [control] */
void gpu_settle(struct gpu *g);

/* create(), check() or destroy() of its image runs from here on, … has ended. NULL is fine. [control] */
void gpu_enter(struct gpu *g);
/* 0, or a negative errno: what it queued failed. */
int gpu_leave(struct gpu *g);

/* Whether calls of the image may be under way at the same time. NULL is fine. */
bool gpu_may_overlap(const struct gpu *g);
/*
 * A call begins, as flight @flight of MAX_FLIGHTS; its host memory lies in these @size bytes at @arena.
 * @overlaps: another one is under way, or about to begin. [infer]
 */
void gpu_begin(struct gpu *g, const struct devserve_call *call, char *arena, size_t size, unsigned flight, bool overlaps);
/* The calls' host memory at @arena is about to be unmapped; none of them is under way. [infer] */
void gpu_unpin(const char *arena);
/* Whether input @index goes to the GPU, or output @index comes from there. */
bool gpu_has_input(const struct gpu *g, uint32_t index, uint32_t dtype);
bool gpu_has_output(const struct gpu *g, uint32_t index, uint32_t dtype);
/* Move a tensor of the call to the GPU. 0, or a negative errno: the sentence is kept. [infer] */
int gpu_bring(struct gpu *g, struct devserve_tensor *t, const char *host);
/* Memory for an output; NULL: the sentence is kept. [infer] */
void *gpu_make(struct gpu *g, uint64_t size);
/* Queue that all @size bytes of it become @value. 0 or a negative errno: the sentence is kept. [infer] */
int gpu_fill(struct gpu *g, void *memory, unsigned char value, uint64_t size);
/* Queue a copy between any two of device and host. 0 or a negative errno: the sentence is kept. [infer, control] */
int gpu_copy(struct gpu *g, void *to, const void *from, uint64_t size);
/* Have infer() queue the call's work, or queue again what it queued the last time. What infer() returned. [infer] */
int gpu_infer(struct gpu *g, int (*infer)(const struct devserve_call *call));
/* Queue its way back. 0 or a negative errno. [infer] */
int gpu_fetch(struct gpu *g, char *host, const struct devserve_tensor *t);
/* Its inputs are on their way; … infer()'s work is queued; … so is all of it. 0 or a negative errno. [infer] */
int gpu_arrive(struct gpu *g);
int gpu_compute(struct gpu *g);
int gpu_leave_call(struct gpu *g);
/*
 * Wait for all of the call. 0, or a negative errno: the sentence is kept. If the GPU is lost,
 * @ret becomes "hit CUDA_ERROR_… in kernel softmax, grid 4×1×1, block 256×1×1". [infer]
 */
int gpu_end(struct gpu *g, unsigned flight, char *ret, size_t size);
/* Whose kernels it was that lost the GPU, as @flight, the oldest, has found: its own, or those of a later one. [infer] */
unsigned gpu_blamed(unsigned flight);

/* The table of the extension. */
const void *gpu_extension(void);
