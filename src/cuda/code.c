/* SPDX-License-Identifier: MIT */
#include "cuda/code.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/pack.h"

struct code {
	const struct device *device;
	cuda_library *libraries;
	size_t n_libraries;
	struct kernel *kernels;
	cuda_event last;
};

static int refuse(const struct device *d, const char *path, cuda_result error, char *why, size_t size)
{
	char text[256];

	driver_describe(d->driver, error, text, sizeof(text));
	snprintf(why, size, "the GPU (%s, sm_%d%d) does not take the device code of %s: %s", d->name, d->major,
		 d->minor, path, text);
	return -1;
}

static void learn(const struct device *d, struct kernel *k)
{
	size_t offset;

	while (k->n_parameters < KERNEL_MAX_PARAMETERS &&
	       d->driver->kernel_parameter(k->kernel, k->n_parameters, &offset, &k->sizes[k->n_parameters]) == 0)
		k->n_parameters++;
	d->driver->kernel_attribute(&k->shared, CUDA_KERNEL_SHARED, k->kernel, d->ordinal);
	d->driver->kernel_attribute(&k->dynamic, CUDA_KERNEL_DYNAMIC_SHARED, k->kernel, d->ordinal);
}

/* Asking for its function is what makes the driver load it. */
static cuda_result add_kernel(struct code *c, cuda_kernel kernel)
{
	const struct driver *d = c->device->driver;
	cuda_function function;
	const char *name;
	struct kernel *k;
	cuda_result r = d->kernel_name(&name, kernel);

	if (r == 0)
		r = d->kernel_function(&function, kernel);
	if (r != 0)
		return r;
	k = xcalloc(1, sizeof(*k));
	k->next = c->kernels;
	k->name = xstrdup(name);
	k->kernel = kernel;
	k->function = function;
	learn(c->device, k);
	c->kernels = k;
	return 0;
}

static cuda_result add_kernels(struct code *c, cuda_library library)
{
	const struct driver *d = c->device->driver;
	_cleanup_free_ cuda_kernel *kernels = NULL;
	unsigned n = 0;
	cuda_result r = d->library_count(&n, library);

	kernels = xcalloc(n + 1, sizeof(*kernels));
	if (r == 0)
		r = d->library_kernels(kernels, n, library);
	for (unsigned i = 0; i < n && r == 0; i++)
		r = add_kernel(c, kernels[i]);
	return r;
}

static cuda_result load_all(struct code *c, const struct pack *p)
{
	const struct driver *d = c->device->driver;
	cuda_result r = d->event_create(&c->last, CUDA_EVENT_NO_TIMING);

	c->libraries = xcalloc(p->n + 1, sizeof(*c->libraries));
	for (size_t i = 0; i < p->n && r == 0; i++) {
		cuda_library *library = &c->libraries[c->n_libraries];

		r = d->library_load(library, p->parts[i].bytes, NULL, NULL, 0, NULL, NULL, 0);
		if (r != 0)
			return r;
		c->n_libraries++;
		r = add_kernels(c, *library);
	}
	return r;
}

int code_load(const struct device *d, const char *path, struct code **ret, char *why, size_t size)
{
	struct code *c = xcalloc(1, sizeof(*c));
	struct pack p;
	cuda_result r;

	c->device = d;
	if (pack_read(path, &p) < 0) {
		free(c);
		snprintf(why, size, "cannot read the device code at %s", path);
		return -1;
	}
	r = load_all(c, &p);
	pack_fini(&p);
	if (r != 0) {
		code_unload(c);
		return refuse(d, path, r, why, size);
	}
	*ret = c;
	return 0;
}

struct code *code_unload(struct code *c)
{
	struct kernel *next;

	if (!c)
		return NULL;
	if (c->last) {
		c->device->driver->event_synchronize(c->last);
		c->device->driver->event_destroy(c->last);
	}
	for (size_t i = 0; i < c->n_libraries; i++)
		c->device->driver->library_unload(c->libraries[i]);
	for (struct kernel *k = c->kernels; k; k = next) {
		next = k->next;
		free(k->name);
		free(k);
	}
	free(c->libraries);
	free(c);
	return NULL;
}

struct kernel *code_find(struct code *c, const char *name)
{
	for (struct kernel *k = c->kernels; k; k = k->next)
		if (strcmp(k->name, name) == 0)
			return k;
	return NULL;
}

void code_mark(struct code *c, cuda_stream s)
{
	c->device->driver->event_record(c->last, s);
}
