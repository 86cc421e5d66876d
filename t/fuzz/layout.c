/* SPDX-License-Identifier: MIT */

/*
 * Any bytes are two layouts, one after the other: what is accepted is written as it was, and a
 * state of the first becomes one of the second within the bytes of both, whatever they say.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "state/fit.h"
#include "state/layout.h"
#include "state/plan.h"
#include "state/value.h"

#define LARGEST (1 << 16)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct layout *read(const char *text, size_t size)
{
	struct layout *l = layout_parse(text, size), *again;
	struct buffer b = BUFFER_NULL;

	if (!l)
		return NULL;
	layout_format(l, &b);
	again = layout_parse(b.data, b.size);
	assert(again && layout_same_text(l, again));
	layout_unref(again);
	buffer_fini(&b);
	return l;
}

/* Of as many bytes as it has, each the next number. */
static unsigned char *state_of(const struct layout *l)
{
	unsigned char *state = malloc(l->size);

	assert(state);
	for (uint64_t i = 0; i < l->size; i++)
		state[i] = (unsigned char)i;
	return state;
}

static void show(const struct layout *l, const unsigned char *state)
{
	struct buffer b = BUFFER_NULL;

	for (size_t i = 0; i < l->n_members; i++) {
		uint64_t n = layout_count(&l->members[i]), length, at = value_place(&l->members[i], n - 1, &length);

		assert(at + length <= l->size);
		value_json(&l->members[i], state + at, &b);
		if (value_is_text(&l->members[i]))
			value_text(state + l->members[i].offset / 8, l->members[i].extents[l->members[i].n_extents - 1].n, &b);
	}
	buffer_fini(&b);
}

static void pass(const struct layout *from, const struct layout *to)
{
	const struct state_shape was = { from->size, 1, from }, is = { to->size, 1, to };
	unsigned char *old = state_of(from), *new = calloc(1, to->size);
	struct buffer why = BUFFER_NULL;
	enum state_fit fit;
	struct plan plan;

	assert(new);
	fit = state_fit(&was, &is, false, &plan, &why);
	assert((fit == STATE_MISFIT) == (why.size > 0));
	plan_apply(&plan, old, new);
	show(to, new);
	plan_fini(&plan);
	buffer_fini(&why);
	free(old);
	free(new);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *text = (const char *)bytes, *second = size ? memmem(text + 1, size - 1, "state ", 6) : NULL;
	size_t n = second ? (size_t)(second - text) : size;
	struct layout *from = read(text, n), *to = second ? read(second, size - n) : NULL;

	if (from && to && from->size <= LARGEST && to->size <= LARGEST) {
		pass(from, to);
		pass(to, from);
		pass(from, from);
	}
	layout_unref(from);
	layout_unref(to);
	return 0;
}
