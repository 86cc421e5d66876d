/* SPDX-License-Identifier: MIT */
#include "cuda/stopwatch.h"

static cuda_result open(struct stopwatch *w, const struct device *d)
{
	cuda_result r = d->driver->event_create(&w->start, 0);

	if (r == 0)
		r = d->driver->event_create(&w->end, 0);
	if (r == 0 && d->cache > 0 && d->driver->allocate(&w->memory, (size_t)d->cache) != 0)
		w->memory = 0;
	if (r == 0)
		w->device = d;
	return r;
}

cuda_result stopwatch_start(struct stopwatch *w, const struct device *d, cuda_stream s)
{
	cuda_result r = w->device ? 0 : open(w, d);

	if (r == 0 && w->memory)
		r = d->driver->fill(w->memory, 0, (size_t)d->cache, s);
	return r == 0 ? d->driver->event_record(w->start, s) : r;
}

cuda_result stopwatch_stop(struct stopwatch *w, cuda_stream s)
{
	return w->device->driver->event_record(w->end, s);
}

cuda_result stopwatch_read(const struct stopwatch *w, uint64_t *ret_ns)
{
	const struct driver *d = w->device->driver;
	cuda_result r = d->event_synchronize(w->end);
	float ms;

	if (r == 0)
		r = d->event_elapsed(&ms, w->start, w->end);
	if (r == 0)
		*ret_ns = (uint64_t)((double)ms * 1e6);
	return r;
}
