/* SPDX-License-Identifier: MIT */
#include "state/address.h"

#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "state/layout.h"
#include "state/value.h"

struct range {
	uint64_t low, high;
	uint64_t found; /* in it */
};

/* Words that lie as the compiler would put an address. */
static bool has_one(const unsigned char *bytes, uint64_t at, uint64_t size, struct range *r)
{
	for (uint64_t i = (at + 7) & ~UINT64_C(7); i + 8 <= at + size; i += 8) {
		uint64_t word;

		memcpy(&word, bytes + i, sizeof(word));
		if (word >= r->low && word < r->high) {
			r->found = word;
			return true;
		}
	}
	return false;
}

/* How many of its elements lie side by side, so that they may hold one together. */
static uint64_t elements_in_a_row(const struct layout_member *m)
{
	uint64_t n = 1;

	for (unsigned k = m->n_extents; k-- && m->extents[k].stride == n * (m->bits / 8);)
		n *= m->extents[k].n;
	return n;
}

static bool may_hold_some(const struct layout_member *m)
{
	if (m->offset % 8 || m->bits % 8)
		return false;
	switch (m->kind) {
	case LAYOUT_SIGNED:
	case LAYOUT_UNSIGNED:
		return m->bits == 8 || m->bits >= 64;
	case LAYOUT_UNION:
	case LAYOUT_OTHER:
	case LAYOUT_POINTER:
		return true;
	default:
		return false;
	}
}

static bool is_in(const struct layout_member *m, const void *bytes, struct range *r)
{
	uint64_t n = layout_count(m), row = elements_in_a_row(m), size;

	for (uint64_t i = 0; i < n; i += row) {
		uint64_t at = value_place(m, i, &size);

		if (has_one(bytes, at, row * m->bits / 8, r))
			return true;
	}
	return false;
}

bool address_find(const struct layout *layout, const void *bytes, uint64_t size, uint64_t low, uint64_t high,
		  struct buffer *ret, uint64_t *ret_address)
{
	struct range range = { low, high, 0 };

	if (low >= high)
		return false;
	if (!layout && has_one(bytes, 0, size, &range))
		buffer_puts(ret, "the state");
	for (size_t i = 0; layout && i < layout->n_members && !ret->size; i++)
		if (may_hold_some(&layout->members[i]) && is_in(&layout->members[i], bytes, &range))
			buffer_printf(ret, "%s.%s (%s)", layout->name, layout->members[i].name, layout->members[i].type);
	if (!ret->size)
		return false;
	*ret_address = range.found;
	return true;
}
