/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Host
 *
 * The table that deployments see (struct devserve_host), and one call as they see it: a
 * struct call of the arena becomes a struct devserve_call. Outputs whose shape the
 * deployment finds get their memory here: from the call's spill, else from the server.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <devserve/deployment.h>

#include "ring/call.h"

struct image;
struct invocation;

/* Asks the server for memory: a place in the arena, or NULL. Blocks until it answers. */
typedef void *(*host_need_fn)(void *context, uint32_t slot, uint64_t size);

/* [infer] uses it for one call at a time. */
struct invocation *invocation_new(host_need_fn need, void *context);

struct invocation *invocation_free(struct invocation *v); /* NULL is fine. Returns NULL. */

/* Tensors lie in @arena from now on; @inputs is the same memory, not to be written. [infer] */
void invocation_attach(struct invocation *v, char *arena, const char *inputs, size_t size);
/* Inputs lie elsewhere, in these @size bytes, not to be written; not those of a GPU. [infer] */
void invocation_set_inputs(struct invocation *v, const char *inputs, size_t size);

/* Fill outputs with ones before infer() gets them. [infer] */
void invocation_poison(struct invocation *v, bool yes);

/*
 * From now on a call's compute_ns is what it took on the GPU (gpu_time.h), and its outputs stay there, where
 * all of it is known. [infer]
 */
void invocation_time(struct invocation *v, bool yes);

/*
 * The two halves of invocation_run(), for calls that overlap on the GPU: until infer() has returned
 * and all is queued; until it has ended. Each is another invocation, @flight (worker/flight.h) likewise;
 * they end in the order in which they began. [infer]
 */
void invocation_start(struct invocation *v, const struct image *image, struct call *call, uint32_t slot, unsigned flight,
		      bool overlaps);
const char *invocation_end(struct invocation *v);

/*
 * Run @call of slot @slot on @image. Writes status, times, error and outputs into @call.
 * NULL, or how infer() wrote where it may not ("wrote 3 bytes past Y FP32[4]"): no memory is to be
 * trusted any more. Valid until the next call. [infer]
 */
const char *invocation_run(struct invocation *v, const struct image *image, struct call *call, uint32_t slot);

/* infer() is to run once more in the same call: what it said and made is forgotten. [infer] */
void invocation_again(const struct devserve_call *view);

/* Whether its outputs are filled and guarded before infer() has them (invocation_poison()). [infer] */
bool invocation_is_poisoned(const struct devserve_call *view);

/* The last call, as its deployment saw it; until the next. [infer] */
const struct devserve_call *invocation_view(const struct invocation *v);

/* The table; valid for the life of the process. */
const struct devserve_host *host_table(void);

/*
 * From now on the last line that this thread logs as DEVSERVE_ERROR is kept in @sentence too:
 * create() has no call to fail. NULL ends it. [control]
 */
void host_capture(char *sentence, size_t size);
