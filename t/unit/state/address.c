/* SPDX-License-Identifier: MIT */
#include "state/address.h"

#include "support.h"

#define LOW UINT64_C(0x7f0000001000)
#define HIGH UINT64_C(0x7f0000002000)

/* What is found in @words, of which there are eight; "": nothing. */
static void finds(const char *members, const uint64_t *words, const char *wanted)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	struct layout *l = members ? layout_of(64, members) : NULL;
	uint64_t address = 0;

	cr_expect_eq(address_find(l, words, 64, LOW, HIGH, &b, &address), wanted[0] != '\0');
	cr_expect_eq(address >= LOW && address < HIGH, wanted[0] != '\0');
	cr_expect_str_eq(buffer_text(&b), wanted);
	layout_unref(l);
}

Test(address, a_word_in_the_range_is_found_and_its_member_named)
{
	finds("u 64 64 - a\tuintptr_t\t\n", (uint64_t[8]){ 0, LOW }, "counter.a (uintptr_t)");
	finds("u 64 64 - a\tuintptr_t\t\n", (uint64_t[8]){ LOW, LOW - 1, LOW }, "");
	finds("u 64 64 - a\tuintptr_t\t\n", (uint64_t[8]){ 0, HIGH - 1 }, "counter.a (uintptr_t)");
	finds("u 64 64 - a\tuintptr_t\t\n", (uint64_t[8]){ 0, HIGH }, "");
	finds("i 64 0 - a\tlong\t\ni 64 64 2x24 s[].b\tlong\t\n", (uint64_t[8]){ 0, 1, LOW, LOW, LOW }, "counter.s[].b (long)");
}

Test(address, one_among_bytes_is_found_where_a_compiler_would_put_it)
{
	uint64_t words[8] = { 0, 0, LOW + 5 };

	finds("i 8 0 64x1 a[]\tchar\t\n", words, "counter.a[] (char)");
	finds("i 8 0 8x8,8x1 a[][]\tchar\t\n", words, "counter.a[][] (char)");
	finds("v 128 64 - a\tunion\t\n", words, "counter.a (union)");
	finds("o 256 0 - a\tthing\t\n", words, "counter.a (thing)");
	finds("i 8 0 16x1 a[]\tchar\t\n", words, "");
}

Test(address, numbers_that_cannot_be_one_are_not_looked_at)
{
	uint64_t words[8] = { LOW, LOW, LOW, LOW, LOW, LOW, LOW, LOW };

	finds("i 32 0 16x4 a[]\tint\t\n", words, "");
	finds("f 64 0 8x8 a[]\tdouble\t\n", words, "");
	finds("b 8 0 - a\tbool\t\n", words, "");
}

Test(address, without_a_layout_every_word_is_looked_at)
{
	finds(NULL, (uint64_t[8]){ 0, 0, 0, 0, 0, 0, 0, LOW }, "the state");
	finds(NULL, (uint64_t[8]){ 0 }, "");
}

Test(address, without_a_range_there_is_none)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	uint64_t address;

	cr_expect_not(address_find(NULL, (uint64_t[8]){ 0 }, 64, 0, 0, &b, &address));
}
