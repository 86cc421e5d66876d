/* SPDX-License-Identifier: MIT */
#include "worker/lane.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "worker/gpu.h"
#include "worker/host.h"
#include "worker/launched.h"

#define CUDA_OUT_OF_MEMORY 2

static struct lane_state lanes[N_LANES] = {
	[LANE_INFER].flight = lanes[LANE_INFER].flights,
	[LANE_CONTROL].flight = lanes[LANE_CONTROL].flights,
};
static _Thread_local enum lane own = LANE_CONTROL;

void lane_init_all(const struct device *d)
{
	for (int i = 0; i < N_LANES; i++)
		for (int f = 0; f < MAX_FLIGHTS; f++) {
			lanes[i].flights[f].pool.device = d;
			lanes[i].flights[f].pool.apart = launched_is();
		}
}

void lane_enter(struct gpu *g, enum lane lane, unsigned flight)
{
	struct lane_state *l = &lanes[lane];

	own = lane;
	device_enter(g->device);
	l->gpu = g;
	l->flight = &l->flights[flight];
}

void lane_leave(void)
{
	lanes[own].gpu = NULL;
}

struct lane_state *lane_own(void)
{
	return &lanes[own];
}

enum lane lane_index(void)
{
	return own;
}

struct gpu *lane_gpu(void)
{
	struct gpu *g = lanes[own].gpu;

	if (!g)
		lane_complain(EPERM, "the GPU's functions are for infer(), create(), destroy() and check() of a deployment "
			      "with DEVSERVE_CUDA(...) at file scope and DEVSERVE_CUDA_EXTENSION in its .extensions");
	return g;
}

cuda_stream lane_stream(const struct gpu *g)
{
	return g->device->streams[own];
}

void *lane_make(const struct gpu *g, uint64_t size)
{
	struct lane_state *l = &lanes[own];
	cuda_address at = l->place;
	cuda_result r;

	if (at)
		return (void *)(uintptr_t)at;
	if (!pool_has(&l->flight->pool, size) && lane_spoils("it took more memory than the call of this shape before"))
		return NULL;
	r = pool_take(&l->flight->pool, size, &at);
	if (r != 0)
		lane_tell(g, r, "no memory of the GPU");
	return r == 0 ? (void *)(uintptr_t)at : NULL;
}

bool lane_spoils(const char *why)
{
	struct lane_state *l = &lanes[own];

	if (l->captures && !l->spoiled[0])
		snprintf(l->spoiled, sizeof(l->spoiled), "%s", why);
	return l->captures;
}

int lane_complain(int error, const char *format, ...)
{
	struct lane_state *l = &lanes[own];
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (lane_spoils(text))
		return -error;
	if (l->flight->call)
		return l->flight->call->host->fail(l->flight->call, error, "%s", text);
	host_table()->log(host_table(), DEVSERVE_ERROR, "%s", text);
	return -error;
}

int lane_tell(const struct gpu *g, cuda_result r, const char *what)
{
	struct lane_state *l = &lanes[own];
	char text[256], where[256] = "";

	if (r == 0)
		return 0;
	driver_describe(g->device->driver, r, text, sizeof(text));
	if (driver_is_sticky(r)) {
		l->fault = r;
		blame_all(&l->flight->blame, where, sizeof(where));
	}
	return lane_complain(r == CUDA_OUT_OF_MEMORY ? ENOMEM : EIO, "%s: %s%s", what, text, where);
}
