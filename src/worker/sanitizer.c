/* SPDX-License-Identifier: MIT */

/*
 * The runtime library is there or it isn't, whatever we were linked to: so its functions are
 * looked up. It calls sanitizer_on_error() (by another name, see the Makefile) as it begins to
 * report, in the thread that did it and under a lock of its own: nothing may be allocated.
 *
 * Alignment is part of the ABI, and the size isn't rounded up: the byte after a tensor is the
 * first one that is wrong.
 */

#include "worker/sanitizer.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

#define ALIGN 64
#define PAGE UINT64_C(4096)
#define NEAR 4096 /* bytes: further away from a block nobody means that block */

static bool on;
static void (*poison)(const volatile void *at, size_t size);
static void (*unpoison)(const volatile void *at, size_t size);
static void *(*reported_address)(void);
static const struct blocks *watched;
static const char *behind; /* what is poisoned since the last time, and of what size what is before it */
static uint64_t before_it;

static void look_up(const char *name, void *ret, size_t size)
{
	void *address = dlsym(RTLD_DEFAULT, name);

	memcpy(ret, &address, size); /* ISO C has no cast from it to a function */
}

void sanitizer_init(void)
{
	static const char *const names[] = { "LD_PRELOAD", "ASAN_OPTIONS", "UBSAN_OPTIONS", "DEVSERVE_SANITIZER" };
	const char *value = getenv("DEVSERVE_SANITIZER");

	on = value && strcmp(value, "yes") == 0;
	if (!on)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unsetenv(names[i]);
	look_up("__asan_poison_memory_region", &poison, sizeof(poison));
	look_up("__asan_unpoison_memory_region", &unpoison, sizeof(unpoison));
	look_up("__asan_get_report_address", &reported_address, sizeof(reported_address));
}

bool sanitizer_is_on(void)
{
	return on;
}

static uint64_t rest_of_page(uint64_t size)
{
	return -size % PAGE;
}

void sanitizer_poison_behind(const void *at, uint64_t size)
{
	if (!poison || !rest_of_page(size))
		return;
	behind = (const char *)at + size;
	before_it = size;
	poison(behind, rest_of_page(size));
}

void sanitizer_unpoison_behind(const void *at, uint64_t size)
{
	if (unpoison && rest_of_page(size))
		unpoison((const char *)at + size, rest_of_page(size));
}

/* Tensors */

static char *allocate(struct block *b, uint64_t size)
{
	void *at;

	free(b->at);
	*b = (struct block){ .at = NULL };
	if (posix_memalign(&at, ALIGN, size) != 0)
		return NULL;
	*b = (struct block){ .at = at, .size = size };
	return at;
}

void blocks_begin(struct blocks *b, const struct devserve_call *view)
{
	b->view = view;
	watched = b;
}

void *blocks_input(struct blocks *b, uint32_t index, const void *data, uint64_t size)
{
	char *at = allocate(&b->in[index], size);

	if (!at)
		return NULL;
	memcpy(at, data, size);
	b->in[index].origin = data;
	return at;
}

void *blocks_output(struct blocks *b, uint32_t index, uint64_t size)
{
	struct block *block = &b->out[index];

	return block->at && size <= block->size ? block->at : allocate(block, size);
}

int blocks_changed_input(const struct blocks *b)
{
	for (uint32_t i = 0; i < b->view->n_in; i++)
		if (b->in[i].at && memcmp(b->in[i].at, b->in[i].origin, b->in[i].size) != 0)
			return (int)i;
	return -1;
}

static void end(struct block *blocks, struct block *gone)
{
	for (uint32_t i = 0; i < DEVSERVE_MAX_TENSORS; i++)
		free(blocks[i].at);
	memcpy(gone, blocks, DEVSERVE_MAX_TENSORS * sizeof(*gone));
	memset(blocks, 0, DEVSERVE_MAX_TENSORS * sizeof(*blocks));
}

void blocks_end(struct blocks *b)
{
	end(b->in, b->gone_in);
	end(b->out, b->gone_out);
}

/* Which of them a report may be about */

static bool is_near(const struct block *b, uintptr_t address)
{
	uintptr_t at = (uintptr_t)b->at;

	return at && address + NEAR >= at && address < at + b->size + NEAR;
}

static void put_shape(char *ret, size_t size, const struct devserve_tensor *t)
{
	size_t n = (size_t)snprintf(ret, size, "[");

	for (uint32_t i = 0; i < t->rank && i < DEVSERVE_MAX_RANK && n < size; i++)
		n += (size_t)snprintf(ret + n, size - n, "%s%lld", i ? "," : "", (long long)t->shape[i]);
	if (n < size)
		snprintf(ret + n, size - n, "]");
}

/* A line before the report's first, for replica/sanitizer.c: the report names blocks by where they begin. */
static void tell(const char *kind, const struct block *b, const struct devserve_tensor *t, bool gone)
{
	char line[512], shape[256] = " of a call that has ended";

	if (!gone)
		put_shape(shape, sizeof(shape), t);
	snprintf(line, sizeof(line), "==devserve== %#llx the %s %.100s%s\n", (unsigned long long)(uintptr_t)b->at, kind,
		 t->name, shape);
	if (write(STDERR_FILENO, line, strlen(line)) < 0)
		return; /* nobody listens */
}

static void tell_near(const char *kind, const struct block *blocks, const struct devserve_tensor *tensors, uint32_t n,
		      bool gone, uintptr_t address)
{
	for (uint32_t i = 0; i < n; i++)
		if (is_near(&blocks[i], address))
			tell(kind, &blocks[i], &tensors[i], gone);
}

static void tell_state(void)
{
	char line[128];

	snprintf(line, sizeof(line), "==devserve== behind the state, which has %llu bytes\n", (unsigned long long)before_it);
	if (write(STDERR_FILENO, line, strlen(line)) < 0)
		return; /* nobody listens */
}

void sanitizer_on_error(void)
{
	const struct blocks *b = watched;
	uintptr_t address = reported_address ? (uintptr_t)reported_address() : 0;

	if (behind && address >= (uintptr_t)behind && address < (uintptr_t)behind + rest_of_page(before_it))
		tell_state();
	if (!b || !address)
		return;
	tell_near("input", b->in, b->view->in, b->view->n_in, false, address);
	tell_near("output", b->out, b->view->out, b->view->n_out, false, address);
	tell_near("input", b->gone_in, b->view->in, b->view->n_in, true, address);
	tell_near("output", b->gone_out, b->view->out, b->view->n_out, true, address);
}
