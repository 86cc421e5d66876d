/* SPDX-License-Identifier: MIT */
#include "ring/crash.h"

#include <string.h>

#include "base/memory.h"

struct crash *crash_copy(const struct crash *shared)
{
	struct crash *c;

	if (atomic_load_explicit(&shared->state, memory_order_acquire) != CRASH_COMPLETE)
		return NULL;
	c = xmalloc(sizeof(*c));
	memcpy(c, shared, sizeof(*c));
	if (c->n_frames > CRASH_FRAMES)
		c->n_frames = CRASH_FRAMES;
	if (c->n_modules > CRASH_MODULES)
		c->n_modules = CRASH_MODULES;
	c->what[sizeof(c->what) - 1] = '\0';
	for (unsigned i = 0; i < CRASH_FRAMES; i++)
		if (c->frames[i].module >= c->n_modules)
			c->frames[i].module = UINT64_MAX;
	for (unsigned i = 0; i < CRASH_MODULES; i++)
		c->modules[i].path[sizeof(c->modules[i].path) - 1] = '\0';
	return c;
}
