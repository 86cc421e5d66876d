/* SPDX-License-Identifier: MIT */

/*
 * Two lanes, one for each thread that runs a plugin's code: a stream, and what is under way there. All
 * of a call goes into one stream in order (copies in, kernels, copies out), and is waited for once, so
 * infer() need not wait for anything. Calls that come one upon the other have streams of their own for
 * the copies (flight.h), and their infer()s follow each other before the first is waited for. Before
 * a swap all are (main.c): it finds the GPU idle, as far as that image goes.
 *
 * After a fault of a kernel every call of the driver fails, for good, in every thread. The worker
 * then crashes on purpose (main.c), which is what the server knows how to mend.
 */

#include "worker/gpu.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "cuda/code.h"
#include "cuda/pinned.h"
#include "worker/device_memory.h"
#include "worker/graphs.h"
#include "worker/lane.h"
#include "worker/threads.h"

static struct pinned pinned; /* of LANE_INFER */

/* Images */

/* Threads of the driver, and of the libraries that it brings, outlive every image. */
static const struct device *open_device(char *why, size_t size)
{
	const struct device *d;

	driver_map();
	threads_hold_also("/libcuda.so");
	d = device_open(why, size);
	threads_hold_also("/libnvidia-");
	threads_hold_also("/libsanitizer-"); /* of compute-sanitizer */
	return d;
}

void gpu_warm(void)
{
	char why[512];

	open_device(why, sizeof(why));
}

int gpu_open(const struct link_load *load, struct gpu *before, struct gpu **ret, char *sentence, size_t size)
{
	const struct device *d = open_device(sentence, size);
	struct gpu *g;

	if (!d)
		return ENODEV;
	lane_init_all(d);
	g = xcalloc(1, sizeof(*g));
	g->device = d;
	if (load->device[0] && code_load(d, load->device, &g->code, sentence, size) < 0) {
		free(g);
		return ENOEXEC;
	}
	g->memory = device_memory_ref(before ? before->memory : NULL);
	if (before)
		gpu_set_offer(g, before->offer);
	*ret = g;
	return 0;
}

/* An image may be of a devserve that knew none. */
static bool wants_graphs(const struct devserve_cuda_deployment *offer)
{
	return offer && offer->extension.struct_size >= offsetof(struct devserve_cuda_deployment, graphs) +
							      sizeof(offer->graphs) && offer->graphs;
}

void gpu_set_offer(struct gpu *g, const struct devserve_cuda_deployment *offer)
{
	g->offer = offer;
	if (wants_graphs(offer))
		g->graphs = graphs_new(g->device);
}

struct gpu *gpu_close(struct gpu *g)
{
	if (!g)
		return NULL;
	device_enter(g->device);
	graphs_free(g->graphs);
	code_unload(g->code);
	device_memory_unref(g->device, g->memory);
	free(g);
	return NULL;
}

void gpu_settle(struct gpu *g)
{
	device_enter(g->device);
	g->device->driver->synchronize();
}

/* What it has launched is to end before its code goes. */
static void mark_code(struct gpu *g)
{
	if (g->code)
		code_mark(g->code, lane_stream(g));
}

/* Where tensors stay on the host, nobody knows which streams the image uses. */
static cuda_result wait_for(struct gpu *g, struct flight *f)
{
	cuda_result r = g->offer ? 0 : g->device->driver->synchronize();
	cuda_result e = flight_end(f, g->device, lane_stream(g));

	return r == 0 ? e : r;
}

void gpu_enter(struct gpu *g)
{
	if (!g)
		return;
	lane_enter(g, LANE_CONTROL, 0);
	flight_begin(lane_own()->flight, g->device, NULL, false);
}

int gpu_leave(struct gpu *g)
{
	int r;

	if (!g)
		return 0;
	mark_code(g);
	r = lane_tell(g, wait_for(g, lane_own()->flight), "the GPU failed");
	lane_leave();
	return r;
}

/* Calls */

bool gpu_may_overlap(const struct gpu *g)
{
	return g && g->offer;
}

void gpu_begin(struct gpu *g, const struct devserve_call *call, char *arena, size_t size, unsigned flight, bool overlaps)
{
	struct lane_state *l;

	lane_enter(g, LANE_INFER, flight);
	l = lane_own();
	for (int i = 0; i < MAX_FLIGHTS; i++)
		if (l->flights[i].call)
			flight_part(&l->flights[i], g->device, lane_stream(g));
	flight_begin(l->flight, g->device, call, overlaps);
	pinned_set(&pinned, g->device, arena, size);
}

void gpu_unpin(const char *arena)
{
	if (pinned.base == arena)
		pinned_set(&pinned, pinned.device, NULL, 0);
}

bool gpu_has_input(const struct gpu *g, uint32_t index, uint32_t dtype)
{
	return g && g->offer && dtype != DEVSERVE_BYTES && !(g->offer->host_inputs >> index & 1);
}

bool gpu_has_output(const struct gpu *g, uint32_t index, uint32_t dtype)
{
	return g && g->offer && dtype != DEVSERVE_BYTES && !(g->offer->host_outputs >> index & 1);
}

void *gpu_make(struct gpu *g, uint64_t size)
{
	return lane_make(g, size);
}

int gpu_bring(struct gpu *g, struct devserve_tensor *t, const char *host)
{
	void *at = gpu_make(g, t->size);

	if (!at)
		return -ENOMEM;
	t->data = at;
	t->device = 2; /* kDLCUDA */
	t->device_id = g->device->ordinal;
	return lane_tell(g, pinned_copy_in(&pinned, (uintptr_t)at, host, t->size,
					  flight_way_in(lane_own()->flight, lane_stream(g))),
			 "copying an input to the GPU failed");
}

int gpu_fill(struct gpu *g, void *memory, unsigned char value, uint64_t size)
{
	if (!size)
		return 0;
	return lane_tell(g, g->device->driver->fill((uintptr_t)memory, value, size, lane_stream(g)),
			 "filling memory of the GPU failed");
}

/* Who runs create(), destroy() or check() has nothing of the arena. */
int gpu_copy(struct gpu *g, void *to, const void *from, uint64_t size)
{
	const struct pinned none = { .device = g->device };

	return lane_tell(g, pinned_copy(lane_index() == LANE_INFER ? &pinned : &none, (uintptr_t)to, (uintptr_t)from, size,
					lane_stream(g)), "the copy failed");
}

int gpu_infer(struct gpu *g, int (*infer)(const struct devserve_call *call))
{
	return g->graphs ? graphs_infer(g, infer) : infer(lane_own()->flight->call);
}

int gpu_fetch(struct gpu *g, char *host, const struct devserve_tensor *t)
{
	return lane_tell(g, pinned_copy_out(&pinned, host, (uintptr_t)t->data, t->size,
					   flight_way_out(lane_own()->flight, lane_stream(g))),
			 "copying an output from the GPU failed");
}

int gpu_arrive(struct gpu *g)
{
	return lane_tell(g, flight_arrive(lane_own()->flight, g->device, lane_stream(g)), "the GPU failed");
}

int gpu_compute(struct gpu *g)
{
	return lane_tell(g, flight_compute(lane_own()->flight, g->device, lane_stream(g)), "the GPU failed");
}

int gpu_leave_call(struct gpu *g)
{
	int r;

	mark_code(g);
	r = lane_tell(g, flight_leave(lane_own()->flight, g->device), "the GPU failed");
	lane_leave();
	return r;
}

int gpu_end(struct gpu *g, unsigned flight, char *ret, size_t size)
{
	char text[256], where[256] = "";
	struct lane_state *l;
	int failed;

	lane_enter(g, LANE_INFER, flight);
	l = lane_own();
	failed = lane_tell(g, wait_for(g, l->flight), "the GPU failed");
	if (l->fault) {
		driver_describe(g->device->driver, l->fault, text, sizeof(text));
		blame_all(&l->flights[gpu_blamed(flight)].blame, where, sizeof(where));
		snprintf(ret, size, "hit %s%s", text, where);
	} else {
		l->flight->call = NULL;
	}
	lane_leave();
	return failed;
}

/* Work is computed in the order of the calls. */
unsigned gpu_blamed(unsigned flight)
{
	const struct lane_state *l = lane_own();

	for (unsigned i = 0; i < MAX_FLIGHTS && l->fault; i++) {
		unsigned at = (flight + i) % MAX_FLIGHTS;

		if (l->flights[at].call && !flight_is_computed(&l->flights[at]))
			return at;
	}
	return flight;
}
