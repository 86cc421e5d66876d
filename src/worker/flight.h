/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Flight
 *
 * A call on its way over the GPU: inputs arrive, infer()'s work is computed, outputs leave. Where
 * several calls are under way, each of the three has a stream, so that one call's copies go on while
 * another computes; events keep the order. A call that is alone has one stream for all. Work is in
 * the order of the calls in each stream. [infer], or [control] with a lane that is its own
 */

#include <stdbool.h>

#include <devserve/deployment.h>

#include "cuda/device.h"
#include "cuda/pool.h"
#include "worker/blame.h"

enum { MAX_FLIGHTS = 3 };

struct flight {
	const struct devserve_call *call; /* NULL: of none */
	struct pool pool;
	struct blame blame;
	bool overlaps;  /* its copies have streams of their own */
	bool is_marked; /* `left` is behind all of it */
	cuda_event arrived, computed, left; /* made when first needed */
	volatile uint32_t *progress; /* 1: computed. The GPU writes it into our memory. NULL: not known */
};

/* @overlaps: if that can be. */
void flight_begin(struct flight *f, const struct device *d, const struct devserve_call *call, bool overlaps);

/* Where copies there and back are queued; @compute is where infer() works. */
cuda_stream flight_way_in(const struct flight *f, cuda_stream compute);
cuda_stream flight_way_out(const struct flight *f, cuda_stream compute);

/* All copies there are queued; … all of infer()'s work; … all copies back. 0, or what the driver said. */
cuda_result flight_arrive(struct flight *f, const struct device *d, cuda_stream compute);
cuda_result flight_compute(struct flight *f, const struct device *d, cuda_stream compute);
cuda_result flight_leave(struct flight *f, const struct device *d);

/* Another call is about to begin while this one is under way. */
cuda_result flight_part(struct flight *f, const struct device *d, cuda_stream compute);

/* Whether its work was computed, also when the GPU is lost; of one that was alone it isn't known. */
bool flight_is_computed(const struct flight *f);

/* Wait until it has left, whatever became of the steps before; its pool is free again. */
cuda_result flight_end(struct flight *f, const struct device *d, cuda_stream compute);
