/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Plan
 *
 * How the bytes of a state become those of another struct: which members, found by name, are copied
 * from where to where. Integers and floats may get wider, arrays longer, and everything may lie
 * elsewhere; what is new is left as it is. What could lose a value is a misfit, and not copied.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "state/layout.h"

/* All elements of one member, or of some of its extents together. */
struct copy {
	enum copy_how { COPY_BYTES, COPY_INTEGER, COPY_FLOAT } how;
	enum layout_kind from_kind, to_kind;
	uint64_t from, to;           /* bits, of the first element */
	uint64_t from_bits, to_bits; /* of each */
	unsigned n_extents;
	struct {
		uint64_t n, from_stride, to_stride; /* bytes */
	} extents[LAYOUT_MAX_EXTENTS];
};

/* Members by name, "counter.calls, counter.in.x and 3 more". */
struct plan_list {
	struct buffer text;
	unsigned n;
};

struct plan {
	uint64_t from_size, to_size; /* bytes */
	struct copy *copies;
	size_t n_copies;
	bool in_place;            /* there is nothing to do: every member lies where it did */
	struct plan_list added;   /* new ones, which stay zero */
	struct plan_list removed; /* what was in them is lost */
	struct plan_list misfits; /* clauses: "counter.count narrows from int64_t to int32_t" */
};

#define PLAN_NULL { .copies = NULL }
#define _cleanup_plan_ __attribute__((cleanup(plan_fini)))

/* Takes time in proportion to the members. */
void plan_make(const struct layout *from, const struct layout *to, struct plan *ret);
void plan_fini(struct plan *p);

/*
 * @from and @to hold p->from_size and p->to_size bytes; @to is zero. Takes time in proportion to
 * the sizes, and calls nothing that allocates.
 */
void plan_apply(const struct plan *p, const void *from, void *to);
