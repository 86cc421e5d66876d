/* SPDX-License-Identifier: MIT */
#include "array/array.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/half.h"
#include "infer/dtype.h"
#include "infer/tensor.h"

void array_fini(struct array *a)
{
	free(a->name);
	free(a->data);
	*a = (struct array)ARRAY_NULL;
}

int array_allocate(struct array *a, uint64_t size)
{
	if (size > ARRAY_MAX_BYTES)
		return -E2BIG;
	a->data = calloc(1, size + 1);
	if (!a->data)
		return -ENOMEM;
	a->size = size;
	return 0;
}

uint64_t array_elements(const struct array *a)
{
	return (uint64_t)tensor_elements(a->shape, a->rank);
}

bool array_next_bytes(const struct array *a, uint64_t *at, const char **ret, size_t *ret_size)
{
	uint32_t size;

	if (*at > a->size || a->size - *at < sizeof(size))
		return false;
	memcpy(&size, a->data + *at, sizeof(size));
	if (size > a->size - *at - sizeof(size))
		return false;
	*ret = (const char *)a->data + *at + sizeof(size);
	*ret_size = size;
	*at += sizeof(size) + size;
	return true;
}

bool array_is_whole(const struct array *a)
{
	int64_t n = tensor_elements(a->shape, a->rank);
	uint64_t at = 0, found = 0;
	const char *bytes;
	size_t size;

	if (n < 0)
		return false;
	if (a->dtype != DEVSERVE_BYTES)
		return a->size % dtype_size(a->dtype) == 0 &&
		       a->size / dtype_size(a->dtype) == (uint64_t)n;
	while (array_next_bytes(a, &at, &bytes, &size))
		found++;
	return at == a->size && found == (uint64_t)n;
}

void array_put_type(struct buffer *b, uint32_t dtype, const int64_t *shape, uint32_t rank)
{
	const char *name = dtype_name(dtype);

	buffer_puts(b, name ? name : "?");
	buffer_putc(b, '[');
	for (uint32_t i = 0; i < rank; i++)
		buffer_printf(b, "%s%" PRId64, i ? "," : "", shape[i]);
	buffer_putc(b, ']');
}

/* Halves; rounded to the nearest, ties to even. */

static uint16_t narrow_fp16(float f)
{
	unsigned sign = signbit(f) ? 0x8000 : 0;
	float size = fabsf(f);
	int exponent;

	if (isnan(f))
		return 0x7e00;
	if (size >= 65520)
		return (uint16_t)(sign | 0x7c00);
	if (size < 0x1p-14f)
		return (uint16_t)(sign | (unsigned)nearbyintf(size * 0x1p24f));
	size = nearbyintf(frexpf(size, &exponent) * 2048); /* may carry into the exponent */
	return (uint16_t)(sign | (((unsigned)(exponent + 14) << 10) + (unsigned)size - 1024));
}

static uint16_t narrow_bf16(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	if (isnan(f))
		return (uint16_t)(bits >> 16 | 0x40);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void array_widen(uint32_t dtype, const void *from, float *to, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t half;

		memcpy(&half, (const char *)from + 2 * i, sizeof(half));
		to[i] = dtype == DEVSERVE_BF16 ? half_from_bf16(half) : half_from_fp16(half);
	}
}

void array_narrow(uint32_t dtype, const float *from, void *to, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint16_t half = dtype == DEVSERVE_BF16 ? narrow_bf16(from[i]) : narrow_fp16(from[i]);

		memcpy((char *)to + 2 * i, &half, sizeof(half));
	}
}
