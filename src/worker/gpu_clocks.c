/* SPDX-License-Identifier: MIT */
#include "worker/gpu_clocks.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cuda/nvml.h"
#include "worker/gpu.h"

#define PERIOD_NS (20 * NS_PER_MS)

static void note_slowdowns(uint64_t slowdowns, struct measurement_clocks *c)
{
	for (unsigned i = 0; i < NVML_SLOWDOWNS; i++) {
		const char *what = slowdowns >> i & 1 ? nvml_slowdown(i) : NULL;
		size_t n = strlen(c->slowed_by);

		if (what && !strstr(c->slowed_by, what))
			snprintf(c->slowed_by + n, sizeof(c->slowed_by) - n, "%s%s", n ? ", " : "", what);
	}
}

static void note_clock(int mhz, struct measurement_clocks *c)
{
	if (mhz <= 0)
		return;
	if (!c->low_mhz || (uint32_t)mhz < c->low_mhz)
		c->low_mhz = (uint32_t)mhz;
	if ((uint32_t)mhz > c->high_mhz)
		c->high_mhz = (uint32_t)mhz;
}

void gpu_clocks_note(const struct gpu *g, struct measurement_clocks *clocks)
{
	static uint64_t looked_ns;
	uint64_t now = clock_ns();
	struct nvml_gpu state;
	char why[512];

	if (!g || !g->device->bus[0] || now - looked_ns < PERIOD_NS)
		return;
	looked_ns = now;
	if (nvml_open(why, sizeof(why)) < 0 || !nvml_read_at(g->device->bus, &state))
		return;
	note_clock(state.sm_mhz, clocks);
	note_slowdowns(state.slowdowns, clocks);
}
