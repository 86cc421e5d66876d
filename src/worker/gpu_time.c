/* SPDX-License-Identifier: MIT */
#include "worker/gpu_time.h"

#include "cuda/stopwatch.h"
#include "worker/gpu.h"
#include "worker/lane.h"

static struct stopwatch stopwatch; /* of LANE_INFER */

bool gpu_time_is_known(const struct gpu *g)
{
	return g && g->offer;
}

int gpu_time_start(struct gpu *g)
{
	return lane_tell(g, stopwatch_start(&stopwatch, g->device, lane_stream(g)), "the GPU's clock cannot be started");
}

int gpu_time_stop(struct gpu *g)
{
	return lane_tell(g, stopwatch_stop(&stopwatch, lane_stream(g)), "the GPU's clock cannot be stopped");
}

uint64_t gpu_time_ns(void)
{
	uint64_t ns = 0;

	if (!stopwatch.device || stopwatch_read(&stopwatch, &ns) != 0)
		return 0;
	return ns ? ns : 1;
}
