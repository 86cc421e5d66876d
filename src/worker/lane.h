/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Lane
 *
 * What a thread that runs a plugin's code has on the GPU: a stream, and the calls that are under way
 * there. A thread has its own; all functions here are about that of the calling thread.
 */

#include <stdbool.h>

#include <devserve/deployment.h>

#include "cuda/device.h"
#include "worker/flight.h"

struct gpu;

struct lane_state {
	struct gpu *gpu; /* whose code runs; NULL: nobody's */
	struct flight flights[MAX_FLIGHTS]; /* of the control thread: one, of no call */
	struct flight *flight; /* that the code runs for, or that is being ended; never NULL */
	cuda_result fault; /* sticky */
	bool captures;     /* what is queued becomes a graph (graphs.h) */
	char spoiled[256]; /* why it can't become one; "": nothing is in the way so far */
	cuda_address place; /* where the next piece of memory is to lie; 0: wherever there is room */
};

/* Device memory comes from @d. [control] */
void lane_init_all(const struct device *d);

/* The calling thread runs code of @g from here on, for that flight of @lane; … it doesn't any more. */
void lane_enter(struct gpu *g, enum lane lane, unsigned flight);
void lane_leave(void);

/* The calling thread's. */
struct lane_state *lane_own(void);
enum lane lane_index(void);

/* Whose code runs in this thread; NULL, and the author is told: nobody's. */
struct gpu *lane_gpu(void);

cuda_stream lane_stream(const struct gpu *g);

/* Device memory of @size bytes for this call; NULL: the author was told. */
void *lane_make(const struct gpu *g, uint64_t size);

/* If a capture is under way, it becomes no graph, because of @why. Whether one is. */
bool lane_spoils(const char *why);

/*
 * Tell the author: the call fails by it, or it is logged. During a capture nobody is told, for the call
 * will be run once more without. Returns -@error.
 */
int lane_complain(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same with what the driver said. 0 if that is nothing, else a negative errno. */
int lane_tell(const struct gpu *g, cuda_result r, const char *what);
