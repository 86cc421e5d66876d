/* SPDX-License-Identifier: MIT */
#include "worker/gpu_clocks.h"

#include <stdio.h>

#include "base/clock.h"
#include "cuda/nvml.h"
#include "worker/gpu.h"

#define PERIOD_NS (20 * NS_PER_MS)

void gpu_clocks_add(uint64_t slowdowns, struct measurement_clocks *c)
{
	size_t n = 0;

	c->slowdowns |= slowdowns;
	for (unsigned i = 0; i < NVML_SLOWDOWNS && n < sizeof(c->slowed_by); i++) {
		const char *what = c->slowdowns >> i & 1 ? nvml_slowdown(i) : NULL;

		if (what)
			n += (size_t)snprintf(c->slowed_by + n, sizeof(c->slowed_by) - n, "%s%s", n ? ", " : "", what);
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
	gpu_clocks_add(state.slowdowns, clocks);
}
