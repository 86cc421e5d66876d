/* SPDX-License-Identifier: MIT */
#include "state/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/half.h"
#include "base/json.h"
#include "state/layout.h"

#define SHOWN_BYTES 16 /* of what has no meaning */

uint64_t value_place(const struct layout_member *m, uint64_t i, uint64_t *ret_size)
{
	uint64_t at = m->offset / 8;

	for (unsigned k = m->n_extents; k--;) {
		at += i % m->extents[k].n * m->extents[k].stride;
		i /= m->extents[k].n;
	}
	*ret_size = (m->offset % 8 + m->bits + 7) / 8;
	return at;
}

/* Numbers */

static uint64_t bits_of(const struct layout_member *m, const unsigned char *bytes)
{
	uint64_t value = 0;

	for (uint64_t i = 0; i < m->bits; i++)
		value |= (uint64_t)(bytes[(m->offset % 8 + i) / 8] >> (m->offset + i) % 8 & 1) << i;
	return value;
}

static int64_t with_sign(uint64_t value, uint64_t bits)
{
	return (int64_t)(bits < 64 && value >> (bits - 1) & 1 ? value | ~UINT64_C(0) << bits : value);
}

static void put_hex(const unsigned char *bytes, uint64_t size, bool from_the_end, struct buffer *ret)
{
	uint64_t shown = size < SHOWN_BYTES ? size : SHOWN_BYTES;

	buffer_puts(ret, "\"0x");
	for (uint64_t i = 0; i < shown; i++)
		buffer_printf(ret, "%02x", bytes[from_the_end ? size - 1 - i : i]);
	buffer_puts(ret, shown < size ? "…\"" : "\"");
}

/* The name of the constant, if one has the value. */
static bool put_constant(const struct layout_member *m, int64_t value, struct buffer *ret)
{
	char number[24];

	snprintf(number, sizeof(number), "%" PRId64, value);
	for (const char *at = m->inside; *at;) {
		size_t size = strcspn(at, ";"), name = strcspn(at, "=;");

		if (size - name == strlen(number) + 1 && memcmp(at + name + 1, number, strlen(number)) == 0) {
			json_string_n(ret, NULL, at, name);
			return true;
		}
		at += size + (at[size] != '\0');
	}
	return false;
}

static void put_integer(const struct layout_member *m, const unsigned char *bytes, struct buffer *ret)
{
	uint64_t value;

	if (m->bits > 64) {
		put_hex(bytes, m->bits / 8, true, ret);
		return;
	}
	value = bits_of(m, bytes);
	if (m->kind == LAYOUT_SIGNED)
		value = (uint64_t)with_sign(value, m->bits);
	if (put_constant(m, (int64_t)value, ret))
		return;
	if (m->kind == LAYOUT_SIGNED)
		buffer_printf(ret, "%" PRId64, (int64_t)value);
	else
		buffer_printf(ret, "%" PRIu64, value);
}

static void put_float(double value, int digits, struct buffer *ret)
{
	if (isfinite(value))
		buffer_printf(ret, "%.*g", digits, value);
	else
		buffer_printf(ret, "\"%s\"", isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
}

/* As few digits as say which one it is. */
static void put_double(double value, struct buffer *ret)
{
	char text[40];
	int digits = 15;

	for (; digits < 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	put_float(value, digits, ret);
}

static void put_single(float value, struct buffer *ret)
{
	char text[40];
	int digits = 6;

	for (; digits < 9; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, (double)value);
		if (strtof(text, NULL) == value)
			break;
	}
	put_float((double)value, digits, ret);
}

static void put_any_float(const struct layout_member *m, const unsigned char *bytes, struct buffer *ret)
{
	long double extended;
	uint16_t half;
	double wide;
	float single;

	memcpy(&half, bytes, sizeof(half));
	if (m->kind == LAYOUT_EXTENDED) {
		memcpy(&extended, bytes, sizeof(extended));
		put_double((double)extended, ret);
	} else if (m->bits == 16) {
		put_single(m->kind == LAYOUT_BF16 ? half_from_bf16(half) : half_from_fp16(half), ret);
	} else if (m->bits == 32) {
		memcpy(&single, bytes, sizeof(single));
		put_single(single, ret);
	} else {
		memcpy(&wide, bytes, sizeof(wide));
		put_double(wide, ret);
	}
}

void value_json(const struct layout_member *m, const void *bytes, struct buffer *ret)
{
	switch (m->kind) {
	case LAYOUT_SIGNED:
	case LAYOUT_UNSIGNED:
		put_integer(m, bytes, ret);
		break;
	case LAYOUT_BOOL:
		buffer_puts(ret, bits_of(m, bytes) ? "true" : "false");
		break;
	case LAYOUT_FLOAT:
	case LAYOUT_BF16:
	case LAYOUT_EXTENDED:
	case LAYOUT_COMPLEX:
		put_any_float(m, bytes, ret);
		break;
	case LAYOUT_UNION:
	case LAYOUT_POINTER:
	case LAYOUT_OTHER:
		put_hex(bytes, m->bits / 8, false, ret);
		break;
	}
}

/* Texts */

bool value_is_text(const struct layout_member *m)
{
	return m->n_extents && m->bits == 8 && m->offset % 8 == 0 && strstr(m->type, "char") && !m->inside[0] &&
	       (m->kind == LAYOUT_SIGNED || m->kind == LAYOUT_UNSIGNED) && !strstr(m->type, "unsigned") &&
	       m->extents[m->n_extents - 1].stride == 1;
}

bool value_text(const void *bytes, uint64_t size, struct buffer *ret)
{
	const char *s = bytes;
	size_t n = strnlen(s, size);

	for (size_t i = 0; i < n;) {
		size_t character = (unsigned char)s[i] < ' ' && s[i] != '\n' && s[i] != '\t' ? 0 : json_utf8_length(s + i, n - i);

		if (!character)
			return false;
		i += character;
	}
	json_string_n(ret, NULL, s, n);
	return true;
}
