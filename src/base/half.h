/* SPDX-License-Identifier: MIT */
#pragma once

/* Floats of two bytes, widened. */

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float half_from_fp16(uint16_t half)
{
	unsigned exponent = half >> 10 & 31, mantissa = half & 1023;
	float sign = half >> 15 ? -1.0f : 1.0f;

	if (exponent == 31)
		return mantissa ? NAN : sign * INFINITY;
	return sign * ldexpf((float)(exponent ? mantissa + 1024 : mantissa), exponent ? (int)exponent - 25 : -24);
}

static inline float half_from_bf16(uint16_t half)
{
	uint32_t bits = (uint32_t)half << 16;
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}
