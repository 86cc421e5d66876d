/* SPDX-License-Identifier: MIT */

/*
 * Outputs end at the page, not begin at one: 64-byte alignment leaves at most 63 bytes between,
 * and those are the canary. The pages are reserved once, at an output's first use, so that a
 * call costs its copy and no system call. Nothing here reads a canary with a vector: masked loads
 * that reach into the page are allowed and cost more than the whole call.
 */

#include "worker/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"
#include "infer/dtype.h"
#include "worker/sanitizer.h"

#define PAGE 4096
#define ALIGN UINT64_C(64)

/* One output of the call. */
struct span {
	char *data, *place; /* the same where it is computed in place */
	uint64_t size;
};

struct guard {
	const struct devserve_call *view;
	bool viewed;
	uint32_t used; /* bit i: spans[i] is of this call */
	struct span spans[DEVSERVE_MAX_TENSORS];
	char *staging[DEVSERVE_MAX_TENSORS]; /* GUARD_MAX bytes and the page; NULL: not yet */
	const char *inputs;
	size_t inputs_size;
	struct blocks blocks; /* where a sanitizer looks, instead of all this */
};

static struct guard *watched; /* by the signal handler */

/* Unlikely to be what somebody writes: no zeros, no repetition. */
static const uint8_t canary[ALIGN] = {
	0xc9, 0x5a, 0x13, 0xe7, 0x86, 0x3d, 0xf1, 0x4b, 0xa2, 0x69, 0xde, 0x17, 0x94, 0xb8, 0x2f, 0x73,
	0xd5, 0x0e, 0x9b, 0x61, 0xec, 0x37, 0x8a, 0x52, 0xbf, 0x1d, 0xc4, 0x78, 0xa6, 0xf3, 0x49, 0x25,
	0x8d, 0xe2, 0x5f, 0xb1, 0x06, 0x9c, 0x7a, 0xd3, 0x41, 0xf8, 0x2b, 0x97, 0x6e, 0xc5, 0x1a, 0xb4,
	0xea, 0x33, 0xd9, 0x84, 0x57, 0xa1, 0x0d, 0x7c, 0xf6, 0x92, 0x4e, 0xbb, 0x28, 0x65, 0xcf, 0x1e,
};

struct guard *guard_new(const struct devserve_call *view)
{
	struct guard *g = xcalloc(1, sizeof(*g));

	g->view = view;
	return g;
}

struct guard *guard_free(struct guard *g)
{
	if (!g)
		return NULL;
	if (watched == g)
		watched = NULL;
	for (unsigned i = 0; i < DEVSERVE_MAX_TENSORS; i++)
		if (g->staging[i])
			munmap(g->staging[i], GUARD_MAX + PAGE);
	free(g);
	return NULL;
}

void guard_set_inputs(struct guard *g, const char *inputs, size_t size)
{
	g->inputs = inputs;
	g->inputs_size = size;
}

void guard_begin(struct guard *g)
{
	watched = g;
	g->used = 0;
	g->viewed = true;
	if (sanitizer_is_on())
		blocks_begin(&g->blocks, g->view);
}

void guard_end(struct guard *g)
{
	if (sanitizer_is_on())
		blocks_end(&g->blocks);
	g->viewed = false;
}

static bool reserve(struct guard *g, uint32_t index)
{
	char *p;

	if (g->staging[index])
		return true;
	p = mmap(NULL, GUARD_MAX + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return false;
	if (mprotect(p + GUARD_MAX, PAGE, PROT_NONE) < 0) {
		munmap(p, GUARD_MAX + PAGE);
		return false;
	}
	g->staging[index] = p;
	return true;
}

/* Bytes of canary: up to the page, or, in place, at least one and up to the next boundary. */
static uint64_t slack(const struct span *s)
{
	if (sanitizer_is_on())
		return 0;
	return s->data == s->place ? ALIGN - s->size % ALIGN : -s->size % ALIGN;
}

static bool is_used(const struct guard *g, uint32_t index)
{
	return g->used >> index & 1;
}

void *guard_input(struct guard *g, uint32_t index, void *data, uint64_t size)
{
	return sanitizer_is_on() ? blocks_input(&g->blocks, index, data, size) : data;
}

static char *memory_for(struct guard *g, uint32_t index, void *place, uint64_t size)
{
	if (sanitizer_is_on())
		return blocks_output(&g->blocks, index, size);
	return size <= GUARD_MAX && reserve(g, index) ?
		       g->staging[index] + GUARD_MAX - (size + ALIGN - 1) / ALIGN * ALIGN : place;
}

void *guard_output(struct guard *g, uint32_t index, void *place, uint64_t size)
{
	struct span *s = &g->spans[index];
	bool again = is_used(g, index) && s->place == place && size <= s->size;

	if (again && size == s->size)
		return s->data;
	s->size = size;
	s->place = place;
	if (!again)
		s->data = memory_for(g, index, place, size);
	if (!s->data)
		return NULL;
	memcpy(s->data + size, canary, slack(s));
	g->used |= UINT32_C(1) << index;
	return s->data;
}

static void name_tensor(const struct devserve_tensor *t, char *ret, size_t size)
{
	size_t at = (size_t)snprintf(ret, size, "%s %s[", t->name, dtype_name(t->dtype));

	for (uint32_t i = 0; i < t->rank && i < DEVSERVE_MAX_RANK && at < size; i++)
		at += (size_t)snprintf(ret + at, size - at, "%s%lld", i ? "," : "", (long long)t->shape[i]);
	if (at < size)
		snprintf(ret + at, size - at, "]");
}

static void tell(char *ret, size_t size, const char *what, const struct devserve_tensor *t)
{
	size_t n = (size_t)snprintf(ret, size, "%s", what);

	name_tensor(t, ret + n, size - n);
}

static bool is_whole(const char *at, unsigned n)
{
	uint64_t there, expected;
	unsigned i = 0;

	for (; i + sizeof(there) <= n; i += sizeof(there)) {
		memcpy(&there, at + i, sizeof(there));
		memcpy(&expected, canary + i, sizeof(there));
		if (there != expected)
			return false;
	}
	for (; i < n; i++)
		if ((uint8_t)at[i] != canary[i])
			return false;
	return true;
}

/* How many bytes of the canary don't count as whole any more. */
static unsigned written_past(const struct span *s)
{
	unsigned n = (unsigned)slack(s);

	if (is_whole(s->data + s->size, n))
		return 0;
	while ((uint8_t)s->data[s->size + n - 1] == canary[n - 1])
		n--;
	return n;
}

static bool has_changed_input(const struct guard *g, char *ret, size_t size)
{
	int i = sanitizer_is_on() ? blocks_changed_input(&g->blocks) : -1;

	if (i >= 0)
		tell(ret, size, "wrote to its input ", &g->view->in[i]);
	return i >= 0;
}

void guard_tell_past(const struct devserve_tensor *output, unsigned n, char *ret, size_t size)
{
	char what[32];

	snprintf(what, sizeof(what), "wrote %u byte%s past ", n, n == 1 ? "" : "s");
	tell(ret, size, what, output);
}

bool guard_is_damaged(const struct guard *g, char *ret, size_t size)
{
	unsigned n;

	if (has_changed_input(g, ret, size))
		return true;
	for (uint32_t i = 0; i < g->view->n_out; i++) {
		if (!is_used(g, i) || (n = written_past(&g->spans[i])) == 0)
			continue;
		guard_tell_past(&g->view->out[i], n, ret, size);
		return true;
	}
	return false;
}

void guard_collect(const struct guard *g)
{
	for (uint32_t i = 0; i < g->view->n_out; i++) {
		const struct span *s = &g->spans[i];

		if (is_used(g, i) && s->data != s->place)
			memcpy(s->place, s->data, s->size);
	}
}

static bool lies_in(uintptr_t address, const void *start, uint64_t size)
{
	return start && address >= (uintptr_t)start && address - (uintptr_t)start < size;
}

static bool explain_input(const struct guard *g, uintptr_t address, char *ret, size_t size)
{
	if (!lies_in(address, g->inputs, g->inputs_size))
		return false;
	for (uint32_t i = 0; g->viewed && i < g->view->n_in; i++) {
		const struct devserve_tensor *t = &g->view->in[i];

		if (lies_in(address, t->data, t->size)) {
			tell(ret, size, "wrote to its input ", t);
			return true;
		}
	}
	snprintf(ret, size, g->viewed ? "wrote beside its inputs" : "wrote to an input after the call");
	return true;
}

bool guard_explain(uintptr_t address, bool is_write, char *ret, size_t size)
{
	const struct guard *g = watched;

	if (!g)
		return false;
	for (uint32_t i = 0; i < DEVSERVE_MAX_TENSORS; i++) {
		if (!g->staging[i] || !lies_in(address, g->staging[i] + GUARD_MAX, PAGE))
			continue;
		if (g->viewed && is_used(g, i))
			tell(ret, size, is_write ? "wrote past the end of " : "read past the end of ",
			     &g->view->out[i]);
		else
			snprintf(ret, size, "touched an output after the call");
		return true;
	}
	return is_write && explain_input(g, address, ret, size);
}

void guard_put_unmade(char *ret, size_t size)
{
	const struct guard *g = watched;

	ret[0] = '\0';
	for (uint32_t i = 0; g && g->viewed && i < g->view->n_out; i++) {
		if (g->view->out[i].data)
			continue;
		snprintf(ret, size, "; if it was output \"%.80s\": that has no memory until devserve_make(), or "
				    "with .shape = DEVSERVE_SAME_SHAPE", g->view->out[i].name);
		return;
	}
}
