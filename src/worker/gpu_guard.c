/* SPDX-License-Identifier: MIT */
#include "worker/gpu_guard.h"

#include <string.h>

#include "worker/gpu.h"
#include "worker/guard.h"
#include "worker/lane.h"

#define TAIL 256   /* bytes behind an output */
#define CANARY 0xa5

static struct tail { /* of one output */
	char *at; /* on the GPU; NULL: it isn't there */
	unsigned char seen[TAIL];
} tails[DEVSERVE_MAX_TENSORS];

void gpu_guard_begin(void)
{
	for (unsigned i = 0; i < DEVSERVE_MAX_TENSORS; i++)
		tails[i].at = NULL;
}

void *gpu_guard_make(struct gpu *g, uint32_t index, uint64_t size, unsigned char value)
{
	char *at = size <= UINT64_MAX - TAIL ? gpu_make(g, size + TAIL) : NULL;

	if (!at || gpu_fill(g, at, value, size) < 0 || gpu_fill(g, at + size, CANARY, TAIL) < 0)
		return NULL;
	tails[index].at = at + size;
	memset(tails[index].seen, CANARY, TAIL);
	return at;
}

int gpu_guard_look(struct gpu *g)
{
	int r = 0;

	for (unsigned i = 0; i < DEVSERVE_MAX_TENSORS && r == 0; i++)
		if (tails[i].at)
			r = lane_tell(g, g->device->driver->copy_out(tails[i].seen, (uintptr_t)tails[i].at, TAIL, lane_stream(g)),
				      "copying what lies behind an output from the GPU failed");
	return r;
}

static unsigned written_past(const struct tail *t)
{
	unsigned n = t->at ? TAIL : 0;

	while (n && t->seen[n - 1] == CANARY)
		n--;
	return n;
}

bool gpu_guard_is_damaged(const struct devserve_call *call, char *ret, size_t size)
{
	for (uint32_t i = 0; i < call->n_out; i++) {
		unsigned n = written_past(&tails[i]);
		size_t used;

		if (!n)
			continue;
		guard_tell_past(&call->out[i], n, ret, size);
		used = strlen(ret);
		blame_all(&lane_own()->flight->blame, ret + used, size - used);
		return true;
	}
	return false;
}
