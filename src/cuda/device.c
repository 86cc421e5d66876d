/* SPDX-License-Identifier: MIT */
#include "cuda/device.h"

#include <pthread.h>
#include <stdio.h>

static struct device device;
static bool known, opened;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool entered;

static cuda_result look(const struct driver *d)
{
	cuda_result r = d->get(&device.ordinal, 0);

	if (r == 0)
		r = d->name(device.name, sizeof(device.name), device.ordinal);
	if (r == 0 && d->bus(device.bus, sizeof(device.bus), device.ordinal) != 0)
		device.bus[0] = '\0';
	if (r == 0)
		r = d->attribute(&device.major, CUDA_MAJOR, device.ordinal);
	if (r == 0)
		r = d->attribute(&device.minor, CUDA_MINOR, device.ordinal);
	if (r == 0)
		r = d->attribute(&device.max_shared, CUDA_MAX_SHARED, device.ordinal);
	if (r == 0)
		r = d->attribute(&device.cache, CUDA_L2_CACHE, device.ordinal);
	return r;
}

static cuda_result make_context(const struct driver *d)
{
	cuda_result r = d->retain(&device.context, device.ordinal);

	if (r == 0)
		r = d->set_current(device.context);
	for (int i = 0; r == 0 && i < N_LANES; i++)
		r = d->stream_create(&device.streams[i], CUDA_STREAM_NON_BLOCKING);
	return r;
}

static const struct device *complain(const struct driver *d, const char *what, cuda_result error, char *why,
				     size_t size)
{
	char text[256];

	driver_describe(d, error, text, sizeof(text));
	snprintf(why, size, "%s: %s", what, text);
	return NULL;
}

static const struct device *find(const struct driver *d, char *why, size_t size)
{
	cuda_result r = known ? 0 : look(d);

	if (r != 0)
		return complain(d, "the GPU cannot be asked what it is", r, why, size);
	device.driver = d;
	known = true;
	return &device;
}

const struct device *device_find(char *why, size_t size)
{
	const struct driver *d = driver_open(why, size);
	const struct device *ret = NULL;

	if (!d)
		return NULL;
	pthread_mutex_lock(&lock);
	ret = find(d, why, size);
	pthread_mutex_unlock(&lock);
	return ret;
}

const struct device *device_open(char *why, size_t size)
{
	const struct device *ret = device_find(why, size);
	cuda_result r;

	if (!ret)
		return NULL;
	pthread_mutex_lock(&lock);
	r = opened ? 0 : make_context(ret->driver);
	opened = r == 0;
	pthread_mutex_unlock(&lock);
	if (r != 0)
		return complain(ret->driver, "the GPU gives no context", r, why, size);
	device_enter(ret);
	return ret;
}

void device_enter(const struct device *d)
{
	if (!entered)
		d->driver->set_current(d->context);
	entered = true;
}
