/* SPDX-License-Identifier: MIT */
#include "state/value.h"

#include <math.h>

#include "support.h"

/* The first member of @members, in @bytes. */
static void shows(const char *members, const void *bytes, const char *wanted)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	struct layout *l = layout_of(64, members);
	uint64_t size, at = value_place(&l->members[0], 0, &size);

	value_json(&l->members[0], (const char *)bytes + at, &b);
	cr_expect_str_eq(b.data, wanted);
	layout_unref(l);
}

Test(value, integers_are_numbers_with_their_sign)
{
	shows("i 64 0 - a\tlong\t\n", (int64_t[]){ INT64_MIN }, "-9223372036854775808");
	shows("u 64 0 - a\tlong\t\n", (int64_t[]){ -1 }, "18446744073709551615");
	shows("i 16 8 - a\tshort\t\n", "\1\376\377", "-2");
	shows("i 5 3 - a\tint\t\n", "\310", "-7");
	shows("u 13 5 - a\tint\t\n", "\340\377\3", "8191");
	shows("i 128 0 - a\t__int128\t\n", (int64_t[]){ -2, -1 }, "\"0xfffffffffffffffffffffffffffffffe\"");
	shows("b 8 0 - a\tbool\t\n", "\1", "true");
	shows("b 1 2 - a\tbool\t\n", "\3", "false");
}

Test(value, a_constant_is_its_name)
{
	const char *mode = "i 32 0 - a\tmode\tIDLE=0;BUSY=1;NONE=-1\n";

	shows(mode, (int32_t[]){ 1 }, "\"BUSY\"");
	shows(mode, (int32_t[]){ -1 }, "\"NONE\"");
	shows(mode, (int32_t[]){ 11 }, "11");
}

Test(value, a_float_has_as_few_digits_as_it_needs)
{
	shows("f 32 0 - a\tfloat\t\n", (float[]){ 0.1f }, "0.1");
	shows("f 64 0 - a\tdouble\t\n", (double[]){ 0.1 + 0.2 }, "0.30000000000000004");
	shows("f 64 0 - a\tdouble\t\n", (double[]){ -INFINITY }, "\"-inf\"");
	shows("f 16 0 - a\thalf\t\n", (uint16_t[]){ 0x3e00 }, "1.5");
	shows("h 16 0 - a\tbf16\t\n", (uint16_t[]){ 0x7fc0 }, "\"nan\"");
	shows("x 128 0 - a\tlong double\t\n", (long double[]){ 2.5L }, "2.5");
}

Test(value, bytes_without_a_meaning_are_shown_as_such)
{
	shows("v 32 0 - a\tunion\t\n", "\1\2\3\377", "\"0x010203ff\"");
	shows("o 256 0 - a\tthing\t\n", (char[32]){ 1 }, "\"0x01000000000000000000000000000000…\"");
}

Test(value, elements_are_counted_with_the_last_extent_fastest)
{
	struct layout *l = layout_of(64, "i 8 16 2x10,3x2 a[][]\tchar\t\n");
	uint64_t size;

	cr_expect_eq(value_place(&l->members[0], 0, &size), 2);
	cr_expect_eq(value_place(&l->members[0], 2, &size), 6);
	cr_expect_eq(value_place(&l->members[0], 4, &size), 14);
	cr_expect_eq(size, 1);
	layout_unref(l);
}

Test(value, characters_are_text_where_they_are_utf8)
{
	struct layout *l = layout_of(64, "i 8 0 8x1 a[]\tchar\t\nu 8 64 8x1 b[]\tuint8_t\t\n");
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	cr_expect(value_is_text(&l->members[0]));
	cr_expect_not(value_is_text(&l->members[1]));
	cr_expect(value_text("a\"b\0rest", 8, &b));
	cr_expect_str_eq(b.data, "\"a\\\"b\"");
	cr_expect_not(value_text("\377", 1, &b));
	cr_expect_not(value_text("\33[31m", 5, &b));
	layout_unref(l);
}
