/* SPDX-License-Identifier: MIT */

/*
 * As a rule almost everything is equal, so blocks are first compared as bytes, at the speed of
 * memory; only a block that differs is read as numbers. Integers are compared as integers: a
 * double doesn't tell 2^53 from 2^53 + 1.
 *
 * The worst element is the one whose difference is the most times what is allowed, and a number
 * that isn't finite where it should be, or the other way round, is worse than any.
 */

#include "compare/compare.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include <devserve/deployment.h>

#include "base/buffer.h"
#include "compare/numbers.h"
#include "infer/dtype.h"

struct run {
	struct comparison *to;
	struct tolerance t;
	uint32_t dtype;
	const char *expected, *got;
	double excess; /* of the worst so far */
};

struct tolerance tolerance_of(uint32_t dtype)
{
	switch (dtype) {
	case DEVSERVE_FP16:
		return (struct tolerance){ 1e-3, 1e-5 };
	case DEVSERVE_BF16:
		return (struct tolerance){ 1.6e-2, 1e-5 };
	case DEVSERVE_FP32:
		return (struct tolerance){ 1.3e-6, 1e-5 };
	case DEVSERVE_FP64:
		return (struct tolerance){ 1e-7, 1e-7 };
	default:
		return (struct tolerance){ 0, 0 };
	}
}

static void blame(struct run *r, uint64_t at, double excess)
{
	struct comparison *c = r->to;

	if (c->n_beyond++ == 0)
		c->first = at;
	if (excess > r->excess || c->n_beyond == 1) {
		c->worst = at;
		r->excess = excess;
	}
}

static void raise_to(double *greatest, uint64_t *where, double value, uint64_t at)
{
	if (value > *greatest) {
		*greatest = value;
		*where = at;
	}
}

/* Two finite numbers that differ by @difference. */
static void take_difference(struct run *r, uint64_t at, double expected, double difference)
{
	double allowed = r->t.atol + r->t.rtol * fabs(expected);

	raise_to(&r->to->max_abs, &r->to->abs_at, difference, at);
	if (expected != 0)
		raise_to(&r->to->max_rel, &r->to->rel_at, difference / fabs(expected), at);
	if (difference > allowed)
		blame(r, at, allowed > 0 ? difference / allowed : difference);
}

static void take_ulp(struct run *r, uint64_t at)
{
	uint64_t ulp = numbers_between(r->dtype, r->expected, r->got, at);

	if (ulp > r->to->max_ulp) {
		r->to->max_ulp = ulp;
		r->to->ulp_at = at;
	}
}

static void take_float(struct run *r, uint64_t at, double expected, double got)
{
	if (expected == got || (isnan(expected) && isnan(got)))
		return;
	r->to->n_other++;
	r->to->n_nan += isnan(got);
	if (isfinite(expected) && isfinite(got)) {
		take_ulp(r, at);
		take_difference(r, at, expected, fabs(got - expected));
	} else {
		blame(r, at, INFINITY);
	}
}

static void compare_floats(struct run *r, uint64_t at, uint64_t n)
{
	double expected[NUMBERS_BLOCK], got[NUMBERS_BLOCK];

	numbers_read(r->dtype, r->expected, at, n, expected);
	numbers_read(r->dtype, r->got, at, n, got);
	for (uint64_t i = 0; i < n; i++)
		take_float(r, at + i, expected[i], got[i]);
}

static bool is_signed(uint32_t dtype)
{
	return dtype >= DEVSERVE_INT8 && dtype <= DEVSERVE_INT64;
}

/* An integer of any size, its sign carried on. */
static uint64_t integer_at(uint32_t dtype, const char *data, uint64_t at)
{
	size_t size = dtype_size(dtype);
	unsigned missing = 64 - 8 * (unsigned)size;
	uint64_t bits = 0;

	memcpy(&bits, data + at * size, size);
	return is_signed(dtype) ? (uint64_t)((int64_t)(bits << missing) >> missing) : bits;
}

static double integer_value(uint32_t dtype, uint64_t bits)
{
	return is_signed(dtype) ? (double)(int64_t)bits : (double)bits;
}

static void compare_integers(struct run *r, uint64_t at, uint64_t n)
{
	for (uint64_t i = at; i < at + n; i++) {
		uint64_t expected = integer_at(r->dtype, r->expected, i), got = integer_at(r->dtype, r->got, i);
		bool less = is_signed(r->dtype) ? (int64_t)expected < (int64_t)got : expected < got;

		if (expected == got)
			continue;
		r->to->n_other++;
		take_difference(r, i, integer_value(r->dtype, expected),
				(double)(less ? got - expected : expected - got));
	}
}

void compare(uint32_t dtype, const void *expected, const void *got, uint64_t n, struct tolerance t,
	     struct comparison *ret)
{
	struct run r = { .to = ret, .t = t, .dtype = dtype, .expected = expected, .got = got };
	size_t size = dtype_size(dtype);
	bool floats = numbers_are_floats(dtype);

	*ret = (struct comparison){ .n = n };
	for (uint64_t at = 0; at < n; at += NUMBERS_BLOCK) {
		uint64_t left = n - at < NUMBERS_BLOCK ? n - at : NUMBERS_BLOCK;

		if (memcmp(r.expected + at * size, r.got + at * size, left * size) == 0)
			continue;
		if (floats)
			compare_floats(&r, at, left);
		else
			compare_integers(&r, at, left);
	}
}

/* The element at *@at, and past it. False: it isn't whole. */
static bool next_bytes(const char *data, uint64_t size, uint64_t *at, const char **ret, uint32_t *ret_size)
{
	if (size - *at < sizeof(*ret_size))
		return false;
	memcpy(ret_size, data + *at, sizeof(*ret_size));
	if (*ret_size > size - *at - sizeof(*ret_size))
		return false;
	*ret = data + *at + sizeof(*ret_size);
	*at += sizeof(*ret_size) + *ret_size;
	return true;
}

void compare_bytes(const void *expected, uint64_t expected_size, const void *got, uint64_t got_size,
		   uint64_t n, struct comparison *ret)
{
	struct run r = { .to = ret };
	uint64_t e_at = 0, g_at = 0;
	uint32_t e_size, g_size;
	const char *e, *g;

	*ret = (struct comparison){ .n = n };
	for (uint64_t i = 0; i < n; i++) {
		if (next_bytes(expected, expected_size, &e_at, &e, &e_size) &&
		    next_bytes(got, got_size, &g_at, &g, &g_size) && e_size == g_size && memcmp(e, g, e_size) == 0)
			continue;
		ret->n_other++;
		blame(&r, i, 0);
	}
}

/* Telling */

void compare_put_place(struct buffer *b, uint64_t at, const int64_t *shape, uint32_t rank)
{
	uint64_t index[DEVSERVE_MAX_RANK] = { 0 };

	for (uint32_t i = rank; i-- > 0 && shape[i] > 0;) {
		index[i] = at % (uint64_t)shape[i];
		at /= (uint64_t)shape[i];
	}
	buffer_putc(b, '[');
	for (uint32_t i = 0; i < rank; i++)
		buffer_printf(b, "%s%" PRIu64, i ? "," : "", index[i]);
	buffer_putc(b, ']');
}

static int digits_of(uint32_t dtype)
{
	return dtype == DEVSERVE_FP64 ? 17 : dtype == DEVSERVE_FP32 ? 9 : dtype == DEVSERVE_FP16 ? 5 : 4;
}

static void put_bytes(struct buffer *b, const char *data, uint64_t whole, uint64_t at)
{
	uint64_t place = 0;
	const char *s = "";
	uint32_t size = 0;

	for (uint64_t i = 0; i <= at; i++)
		if (!next_bytes(data, whole, &place, &s, &size)) {
			buffer_puts(b, "no whole string");
			return;
		}
	buffer_printf(b, "\"%.*s%s\"", size > 40 ? 40 : (int)size, s, size > 40 ? "…" : "");
}

void compare_put_element(struct buffer *b, uint32_t dtype, const void *data, uint64_t size, uint64_t at)
{
	double value;

	if (dtype == DEVSERVE_BYTES) {
		put_bytes(b, data, size, at);
	} else if (numbers_are_floats(dtype)) {
		numbers_read(dtype, data, at, 1, &value);
		buffer_printf(b, "%.*g", digits_of(dtype), value);
	} else if (is_signed(dtype)) {
		buffer_printf(b, "%" PRId64, (int64_t)integer_at(dtype, data, at));
	} else {
		buffer_printf(b, "%" PRIu64, integer_at(dtype, data, at));
	}
}
