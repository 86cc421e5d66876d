/* SPDX-License-Identifier: MIT */
#include "cuda/code.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/pack.h"
#include "cuda/expression.h"

struct alias { /* another name of a kernel */
	struct alias *next;
	char *name, *tidy;
	struct kernel *kernel;
};

struct code {
	const struct device *device;
	cuda_library *libraries;
	size_t n_libraries;
	struct kernel *kernels;
	struct alias *aliases;
	cuda_event last;
	unsigned made_for; /* 90: the cubin that was loaded last is for some sm_90 */
};

/* NVIDIA's ELF header says it in its flags, a byte higher since CUDA 13. 0: that is no cubin. */
static unsigned made_for(const struct pack_part *p)
{
	const unsigned moved = 8; /* the version of its ABI since when */
	Elf64_Ehdr elf;

	if (p->size < sizeof(elf) || memcmp(p->bytes, ELFMAG, SELFMAG) != 0)
		return 0;
	memcpy(&elf, p->bytes, sizeof(elf));
	return elf.e_flags >> (elf.e_ident[EI_ABIVERSION] >= moved ? 8 : 0) & 0xff;
}

static int refuse(const struct device *d, unsigned made_for, const char *path, cuda_result error, char *why, size_t size)
{
	char text[256];

	/* By an -arch, or on a machine with another GPU, or beside one; and sm_90a looks like sm_90. */
	if (error == CUDA_ERROR_NO_BINARY_FOR_GPU && made_for && made_for != (unsigned)(d->major * 10 + d->minor)) {
		snprintf(why, size, "the device code is for sm_%u, and the GPU here (%s) is sm_%d%d; -arch=sm_%d%d in cflags of "
			 "deployment.yaml has it built for this one", made_for, d->name, d->major, d->minor, d->major,
			 d->minor);
		return -1;
	}
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

/*
 * The driver would load it at its first launch, in a call that somebody waits for, or a capture. Why it can't be,
 * that launch tells, if there ever is one.
 */
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
	d->function_load(function);
	k = xcalloc(1, sizeof(*k));
	k->next = c->kernels;
	k->name = k->symbol = xstrdup(name);
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

static void add_alias(struct code *c, struct kernel *k, const char *name, size_t size)
{
	struct alias *a = xcalloc(1, sizeof(*a));

	a->name = xstrndup(name, size);
	a->tidy = expression_tidy(a->name);
	a->kernel = k;
	a->next = c->aliases;
	c->aliases = a;
}

/* The expression is the author's name, the symbol one more. */
static void name_kernel(struct code *c, const char *symbol, size_t symbol_size, const char *name, size_t size)
{
	for (struct kernel *k = c->kernels; k; k = k->next) {
		if (strlen(k->symbol) != symbol_size || memcmp(k->symbol, symbol, symbol_size) != 0)
			continue;
		add_alias(c, k, name, size);
		if (k->name == k->symbol)
			k->name = c->aliases->name;
	}
}

static void read_names(struct code *c, const char *text, const char *end)
{
	for (const char *line = text, *stop; line < end; line = stop + 1) {
		const char *tab = memchr(line, '\t', (size_t)(end - line));

		stop = memchr(line, '\n', (size_t)(end - line));
		if (!stop)
			return;
		if (tab && tab < stop)
			name_kernel(c, line, (size_t)(tab - line), tab + 1, (size_t)(stop - tab - 1));
	}
}

static bool is_names(const struct pack_part *p)
{
	return p->size >= strlen(CODE_NAMES) && memcmp(p->bytes, CODE_NAMES, strlen(CODE_NAMES)) == 0;
}

static cuda_result load_all(struct code *c, const struct pack *p)
{
	const struct driver *d = c->device->driver;
	cuda_result r = d->event_create(&c->last, CUDA_EVENT_NO_TIMING);

	c->libraries = xcalloc(p->n + 1, sizeof(*c->libraries));
	for (size_t i = 0; i < p->n && r == 0; i++) {
		cuda_library *library = &c->libraries[c->n_libraries];

		if (is_names(&p->parts[i])) { /* the last one */
			read_names(c, (const char *)p->parts[i].bytes + strlen(CODE_NAMES),
				   (const char *)p->parts[i].bytes + p->parts[i].size);
			continue;
		}
		c->made_for = made_for(&p->parts[i]);
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
		unsigned last = c->made_for;

		code_unload(c);
		return refuse(d, last, path, r, why, size);
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
		free(k->symbol);
		free(k);
	}
	for (struct alias *a = c->aliases, *after; a; a = after) {
		after = a->next;
		free(a->name);
		free(a->tidy);
		free(a);
	}
	free(c->libraries);
	free(c);
	return NULL;
}

static struct kernel *find_alias(struct code *c, const char *name)
{
	_cleanup_free_ char *tidy = NULL;

	for (struct alias *a = c->aliases; a; a = a->next)
		if (strcmp(a->name, name) == 0)
			return a->kernel;
	tidy = expression_tidy(name);
	for (struct alias *a = c->aliases; a; a = a->next)
		if (strcmp(a->tidy, tidy) == 0)
			return a->kernel;
	return NULL;
}

struct kernel *code_find(struct code *c, const char *name)
{
	for (struct kernel *k = c->kernels; k; k = k->next)
		if (strcmp(k->symbol, name) == 0)
			return k;
	return c->aliases ? find_alias(c, name) : NULL;
}

const struct kernel *code_kernels(const struct code *c)
{
	return c->kernels;
}

void code_mark(struct code *c, cuda_stream s)
{
	c->device->driver->event_record(c->last, s);
}
