/* SPDX-License-Identifier: MIT */

/*
 * Values are little-endian, as on every machine that runs us (worker checkpoints say which). What is
 * written is rounded in no case: a plan only ever widens.
 */

#include <string.h>

#include "base/half.h"
#include "state/plan.h"

#define PIECE 4096u
#define MAYBE_SPARSE (UINT64_C(1) << 20) /* bytes; a smaller state is copied in no time */

/* Integers */

/* At most 64 bits, wherever they begin. */
static uint64_t get_bits(const unsigned char *from, uint64_t at, uint64_t bits)
{
	uint64_t value = 0;

	for (uint64_t i = 0; i < bits; i++)
		value |= (uint64_t)(from[(at + i) / 8] >> (at + i) % 8 & 1) << i;
	return value;
}

static void put_bits(unsigned char *to, uint64_t at, uint64_t bits, uint64_t value)
{
	for (uint64_t i = 0; i < bits; i++)
		to[(at + i) / 8] |= (unsigned char)((value >> i & 1) << (at + i) % 8);
}

static uint64_t extended(uint64_t value, uint64_t bits, bool with_sign)
{
	return bits < 64 && with_sign && value >> (bits - 1) & 1 ? value | ~UINT64_C(0) << bits : value;
}

/* Of sizes that the compiler knows, an element takes a nanosecond instead of five. */
static void widen_bytes(const unsigned char *from, size_t from_size, unsigned char *to, size_t to_size, bool with_sign)
{
	unsigned char fill = with_sign && from[from_size - 1] & 0x80 ? 0xff : 0;

	switch (to_size) {
	case 2:
		memset(to, fill, 2);
		break;
	case 4:
		memset(to, fill, 4);
		break;
	case 8:
		memset(to, fill, 8);
		break;
	default:
		memset(to, fill, to_size);
	}
	switch (from_size) {
	case 1:
		*to = *from;
		break;
	case 2:
		memcpy(to, from, 2);
		break;
	case 4:
		memcpy(to, from, 4);
		break;
	default:
		memcpy(to, from, from_size);
	}
}

static void copy_integer(const struct copy *c, const unsigned char *from, unsigned char *to)
{
	bool with_sign = c->from_kind == LAYOUT_SIGNED;
	uint64_t value;

	if ((c->from | c->from_bits | c->to | c->to_bits) % 8 == 0) {
		widen_bytes(from + c->from / 8, c->from_bits / 8, to + c->to / 8, c->to_bits / 8, with_sign);
		return;
	}
	value = extended(get_bits(from, c->from, c->from_bits), c->from_bits, with_sign);
	for (uint64_t at = 0; at < c->to_bits; at += 64) {
		uint64_t left = c->to_bits - at;

		put_bits(to, c->to + at, left < 64 ? left : 64, value);
		value = with_sign && value >> 63 ? ~UINT64_C(0) : 0;
	}
}

/* Floats */

static long double get_float(enum layout_kind kind, uint64_t bits, const void *from)
{
	union {
		uint16_t half;
		float f;
		double d;
		long double x;
	} u = { .half = 0 };

	memcpy(&u, from, bits / 8);
	if (kind == LAYOUT_EXTENDED)
		return u.x;
	if (kind == LAYOUT_BF16)
		return half_from_bf16(u.half);
	return bits == 16 ? half_from_fp16(u.half) : bits == 32 ? u.f : u.d;
}

static void put_float(uint64_t bits, long double value, void *to)
{
	float f = (float)value;
	double d = (double)value;

	if (bits == 32)
		memcpy(to, &f, sizeof(f));
	else if (bits == 64)
		memcpy(to, &d, sizeof(d));
	else
		memcpy(to, &value, sizeof(value));
}

/* Elements */

/* Bytes that are zero are in the new state already, and where a page has no others nobody wrote to it. */
static void copy_bytes(const unsigned char *from, unsigned char *to, uint64_t size, bool is_sparse)
{
	static const unsigned char zero[PIECE];

	for (uint64_t at = 0; is_sparse && at < size; at += PIECE) {
		size_t n = size - at < PIECE ? size - at : PIECE;

		if (memcmp(from + at, zero, n) != 0)
			memcpy(to + at, from + at, n);
	}
	if (!is_sparse)
		memcpy(to, from, size);
}

static bool is_zero(const struct copy *c, const unsigned char *from)
{
	for (uint64_t i = c->from / 8; i <= (c->from + c->from_bits - 1) / 8; i++)
		if (from[i])
			return false;
	return true;
}

static void copy_element(const struct copy *c, const unsigned char *from, unsigned char *to, bool is_sparse)
{
	if (c->how == COPY_BYTES)
		copy_bytes(from + c->from / 8, to + c->to / 8, c->from_bits / 8, is_sparse);
	else if (is_sparse && is_zero(c, from))
		return;
	else if (c->how == COPY_INTEGER)
		copy_integer(c, from, to);
	else
		put_float(c->to_bits, get_float(c->from_kind, c->from_bits, from + c->from / 8), to + c->to / 8);
}

static void copy_extent(const struct copy *c, unsigned i, const unsigned char *from, unsigned char *to, bool is_sparse)
{
	if (i == c->n_extents) {
		copy_element(c, from, to, is_sparse);
		return;
	}
	for (uint64_t n = 0; n < c->extents[i].n; n++)
		copy_extent(c, i + 1, from + n * c->extents[i].from_stride, to + n * c->extents[i].to_stride, is_sparse);
}

void plan_apply(const struct plan *p, const void *from, void *to)
{
	for (size_t i = 0; i < p->n_copies; i++)
		copy_extent(&p->copies[i], 0, from, to, p->from_size > MAYBE_SPARSE);
}
