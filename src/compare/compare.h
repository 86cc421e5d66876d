/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Comparison
 *
 * The numbers of one output against those it should have. An element agrees if
 * |got - expected| <= atol + rtol * |expected|, where it is the same number, or where both are no
 * number: what was NaN may stay NaN. An infinity agrees with itself alone.
 */

#include <stdbool.h>
#include <stdint.h>

struct buffer;

struct tolerance {
	double rtol, atol;
};

struct comparison {
	uint64_t n;        /* elements */
	uint64_t n_other;  /* that aren't the very same number */
	uint64_t n_beyond; /* that don't agree */
	uint64_t n_nan;    /* of those, NaN where a number was expected */
	double max_abs, max_rel; /* greatest differences of finite numbers; relative to the expected */
	uint64_t max_ulp;        /* the same in units in the last place; 0 where they are no floats */
	uint64_t abs_at, rel_at, ulp_at; /* which element has them */
	uint64_t first, worst; /* of those that don't agree: the first, and the one that is farthest off */
};

/* torch.testing's for @dtype: none but for floats. */
struct tolerance tolerance_of(uint32_t dtype);

/* @n elements each, of any alignment; BYTES is not for this. */
void compare(uint32_t dtype, const void *expected, const void *got, uint64_t n, struct tolerance t,
	     struct comparison *ret);

/*
 * The same for BYTES (each element led by its length), which must be equal: then the others have
 * no numbers.
 */
void compare_bytes(const void *expected, uint64_t expected_size, const void *got, uint64_t got_size,
		   uint64_t n, struct comparison *ret);

static inline bool comparison_agrees(const struct comparison *c)
{
	return c->n_beyond == 0;
}

/* "[3,17]": the indices of element @at of a tensor of that shape. */
void compare_put_place(struct buffer *b, uint64_t at, const int64_t *shape, uint32_t rank);

/*
 * Element @at as people write it, with as many digits as tell it from its neighbours. @data has @size bytes:
 * of BYTES, which may say any length, none is read past them.
 */
void compare_put_element(struct buffer *b, uint32_t dtype, const void *data, uint64_t size, uint64_t at);
