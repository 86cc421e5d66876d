/* SPDX-License-Identifier: MIT */

/*
 * Halves are widened by array/, once for a block. Distances are counted on the bits: those of a
 * float, read as an integer of sign and magnitude, are in the order of the numbers.
 */

#include "compare/numbers.h"

#include <string.h>

#include <devserve/deployment.h>

#include "array/array.h"
#include "infer/dtype.h"

bool numbers_are_floats(uint32_t dtype)
{
	return dtype == DEVSERVE_FP16 || dtype == DEVSERVE_BF16 || dtype == DEVSERVE_FP32 || dtype == DEVSERVE_FP64;
}

void numbers_read(uint32_t dtype, const void *data, uint64_t at, uint64_t n, double *ret)
{
	const char *from = (const char *)data + at * dtype_size(dtype);
	float narrow[NUMBERS_BLOCK];

	if (dtype == DEVSERVE_FP64) {
		memcpy(ret, from, n * sizeof(*ret));
		return;
	}
	if (dtype == DEVSERVE_FP32)
		memcpy(narrow, from, n * sizeof(*narrow));
	else
		array_widen(dtype, from, narrow, n);
	for (uint64_t i = 0; i < n; i++)
		ret[i] = (double)narrow[i];
}

/* The @size bytes of a float as an integer that is in the order of the numbers; both zeros are 0. */
static int64_t order_of(const void *data, uint64_t at, size_t size)
{
	uint64_t bits = 0, sign = UINT64_C(1) << (8 * size - 1);

	memcpy(&bits, (const char *)data + at * size, size);
	return bits & sign ? -(int64_t)(bits & ~sign) : (int64_t)bits;
}

uint64_t numbers_between(uint32_t dtype, const void *a, const void *b, uint64_t at)
{
	size_t size = dtype_size(dtype);
	int64_t x = order_of(a, at, size), y = order_of(b, at, size);

	return x > y ? (uint64_t)x - (uint64_t)y : (uint64_t)y - (uint64_t)x;
}

double numbers_rounding(uint32_t dtype)
{
	switch (dtype) {
	case DEVSERVE_FP16:
		return 0x1p-11;
	case DEVSERVE_BF16:
		return 0x1p-8;
	case DEVSERVE_FP32:
		return 0x1p-24;
	default:
		return 0x1p-53;
	}
}
