/* SPDX-License-Identifier: MIT */

/*
 * Once a kernel has faulted every call of the driver fails, and no event tells any more whose kernel it
 * was. So behind each call's work the GPU writes a word into the host's memory, which stays.
 */

#include "worker/flight.h"

static cuda_stream in, out; /* of all flights that overlap */

static bool has_streams(const struct device *d)
{
	if (!in && d->driver->stream_create(&in, CUDA_STREAM_NON_BLOCKING) != 0)
		in = NULL;
	if (in && !out && d->driver->stream_create(&out, CUDA_STREAM_NON_BLOCKING) != 0)
		out = NULL;
	return in && out;
}

static cuda_result mark(const struct device *d, cuda_event *e, cuda_stream s)
{
	cuda_result r = *e ? 0 : d->driver->event_create(e, CUDA_EVENT_NO_TIMING);

	return r == 0 ? d->driver->event_record(*e, s) : r;
}

/* What is queued on @second from now on waits for what is queued on @first. */
static cuda_result order(const struct device *d, cuda_event *e, cuda_stream first, cuda_stream second)
{
	cuda_result r = mark(d, e, first);

	return r == 0 ? d->driver->stream_wait(second, *e, 0) : r;
}

void flight_begin(struct flight *f, const struct device *d, const struct devserve_call *call, bool overlaps)
{
	f->call = call;
	f->blame.n = 0;
	f->overlaps = overlaps && has_streams(d);
	f->is_marked = false;
	if (f->progress)
		*f->progress = 0;
}

/* It costs a wrong guess at worst if it can't be had. */
static void tell_progress(struct flight *f, const struct device *d, cuda_stream compute)
{
	void *word = NULL;

	if (!f->progress && d->driver->allocate_host(&word, sizeof(*f->progress)) == 0) {
		f->progress = word;
		*f->progress = 0;
	}
	if (f->progress)
		d->driver->stream_write(compute, (uintptr_t)f->progress, 1, 0);
}

bool flight_is_computed(const struct flight *f)
{
	return f->progress && *f->progress;
}

cuda_stream flight_way_in(const struct flight *f, cuda_stream compute)
{
	return f->overlaps ? in : compute;
}

cuda_stream flight_way_out(const struct flight *f, cuda_stream compute)
{
	return f->overlaps ? out : compute;
}

cuda_result flight_arrive(struct flight *f, const struct device *d, cuda_stream compute)
{
	return f->overlaps ? order(d, &f->arrived, in, compute) : 0;
}

cuda_result flight_compute(struct flight *f, const struct device *d, cuda_stream compute)
{
	if (!f->overlaps)
		return 0;
	tell_progress(f, d, compute);
	return order(d, &f->computed, compute, out);
}

cuda_result flight_leave(struct flight *f, const struct device *d)
{
	cuda_result r = f->overlaps ? mark(d, &f->left, out) : 0;

	f->is_marked = f->overlaps && r == 0;
	return r;
}

cuda_result flight_part(struct flight *f, const struct device *d, cuda_stream compute)
{
	cuda_result r;

	if (f->overlaps || f->is_marked)
		return 0;
	tell_progress(f, d, compute);
	r = mark(d, &f->left, compute);
	f->is_marked = r == 0;
	return r;
}

cuda_result flight_end(struct flight *f, const struct device *d, cuda_stream compute)
{
	cuda_result r;

	if (f->is_marked)
		r = d->driver->event_synchronize(f->left);
	else if (f->overlaps)
		r = d->driver->synchronize();
	else
		r = d->driver->stream_synchronize(compute);
	pool_reset(&f->pool);
	return r;
}
