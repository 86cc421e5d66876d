/* SPDX-License-Identifier: MIT */
/* The host's side of <devserve/ext/cuda.h>: each function finds out whose code calls it, and where. */

#include "worker/gpu.h"

#include <errno.h>

#include "worker/blas.h"
#include "worker/device_memory.h"
#include "worker/graphs.h"
#include "worker/lane.h"
#include "worker/launch.h"

static void *host_stream(const struct devserve_host *host)
{
	struct gpu *g = lane_gpu();

	(void)host;
	return g ? lane_stream(g) : NULL;
}

static void *host_scratch(const struct devserve_host *host, uint64_t size)
{
	struct gpu *g = lane_gpu();

	(void)host;
	return g ? lane_make(g, size) : NULL;
}

static void *host_allocate(const struct devserve_host *host, uint64_t size)
{
	struct gpu *g = lane_gpu();
	cuda_address at;

	(void)host;
	if (!g || lane_spoils("it allocates memory") ||
	    lane_tell(g, device_memory_take(g->device, g->memory, size, &at), "no memory of the GPU") != 0)
		return NULL;
	return (void *)(uintptr_t)at;
}

static void host_release(const struct devserve_host *host, void *memory)
{
	struct gpu *g = lane_gpu();

	(void)host;
	if (!g || lane_spoils("it releases memory"))
		return;
	if (lane_index() == LANE_INFER)
		graphs_forget(g->graphs); /* one may use it */
	device_memory_give(g->device, g->memory, (uintptr_t)memory, lane_stream(g));
}

static bool is_on_device(const struct gpu *g, const void *at)
{
	unsigned type = 0;

	return g->device->driver->pointer_attribute(&type, CUDA_MEMORY_TYPE, (uintptr_t)at) == 0 &&
	       type == CUDA_MEMORY_DEVICE;
}

/* What the host's memory holds may be another thing in the next call. */
static bool spoils_copy(const struct gpu *g, const void *to, const void *from)
{
	return lane_own()->captures && !(is_on_device(g, to) && is_on_device(g, from)) &&
	       lane_spoils("it copies to or from the host's memory");
}

static int host_copy(const struct devserve_host *host, void *to, const void *from, uint64_t size)
{
	struct gpu *g = lane_gpu();

	(void)host;
	if (!g)
		return -EPERM;
	if (spoils_copy(g, to, from))
		return -EBUSY;
	return gpu_copy(g, to, from, size);
}

static int host_synchronize(const struct devserve_host *host)
{
	struct gpu *g = lane_gpu();

	(void)host;
	if (!g)
		return -EPERM;
	if (lane_spoils("it waits for the GPU"))
		return -EBUSY;
	return lane_tell(g, g->device->driver->stream_synchronize(lane_stream(g)), "the GPU failed");
}

static int host_launch(const struct devserve_host *host, const struct devserve_cuda_launch *launch)
{
	struct gpu *g = lane_gpu();

	(void)host;
	return g ? launch_kernel(g, launch) : -EIO;
}

static void *host_blas(const struct devserve_host *host)
{
	struct gpu *g = lane_gpu();

	(void)host;
	return g ? blas_handle(g) : NULL;
}

static void *host_blaslt(const struct devserve_host *host)
{
	struct gpu *g = lane_gpu();

	(void)host;
	return g ? blas_lt_handle(g) : NULL;
}

const void *gpu_extension(void)
{
	static const struct devserve_cuda_extension table = {
		.extension = { DEVSERVE_CUDA_ID, sizeof(struct devserve_cuda_extension), 0 },
		.stream = host_stream,
		.scratch = host_scratch,
		.allocate = host_allocate,
		.release = host_release,
		.copy = host_copy,
		.launch = host_launch,
		.synchronize = host_synchronize,
		.blas = host_blas,
		.blaslt = host_blaslt,
	};

	return &table;
}
