/* SPDX-License-Identifier: MIT */
#include "state/layout.h"

#include "support.h"

#define ALL                                                \
	"state 1 176 counter\n"                            \
	"i 64 0 - count\tint64_t\t\n"                      \
	"i 32 64 2x16,3x4 in[].a[]\tint\t\n"               \
	"v 32 320 - u\tunion\tf:f 32 0;i:i 32 0\n"         \
	"u 3 368 - bit\tunsigned int\t\n"                  \
	"i 5 371 - sb\tint\t\n"                            \
	"i 32 384 - m\tmode\tIDLE=0;BUSY=5;NEG=-2\n"       \
	"c 64 448 2x8 z\tcomplex double\t\n"               \
	"x 128 640 - x\tlong double\t\n"

Test(layout, what_was_read_is_written_as_it_was)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	struct layout *l = layout_parse(ALL, strlen(ALL));

	cr_assert(l);
	cr_expect_eq(l->size, 176);
	cr_expect_eq(l->n_members, 8);
	cr_expect_eq(layout_count(layout_find(l, "in[].a[]")), 6);
	cr_expect_str_eq(layout_find(l, "m")->inside, "IDLE=0;BUSY=5;NEG=-2");
	cr_expect_null(layout_find(l, "none"));
	layout_format(l, &text);
	cr_expect_str_eq(text.data, ALL);
	layout_unref(l);
}

static bool is_one(const char *text)
{
	struct layout *l = layout_parse(text, strlen(text));
	bool yes = l;

	layout_unref(l);
	return yes;
}

Test(layout, every_element_lies_within_the_struct)
{
	cr_expect(is_one("state 1 16 s\ni 64 64 - a\tlong\t\n"));
	cr_expect_not(is_one("state 1 16 s\ni 64 72 - a\tlong\t\n"));
	cr_expect(is_one("state 1 16 s\ni 32 0 4x4 a[]\tint\t\n"));
	cr_expect_not(is_one("state 1 16 s\ni 32 0 5x4 a[]\tint\t\n"));
	cr_expect_not(is_one("state 1 16 s\ni 32 32 4x4 a[]\tint\t\n"));
	cr_expect_not(is_one("state 1 16 s\ni 8 0 2x8,2x9 a[][]\tchar\t\n"));
	cr_expect_not(is_one("state 1 16 s\ni 8 18446744073709551608 - a\tchar\t\n"));
	cr_expect_not(is_one("state 1 16 s\ni 8 0 1099511627775x1099511627775 a[]\tchar\t\n"));
	cr_expect_not(is_one("state 1 16 s\ni 8 0 16x0,16x0,16x0 a[][][]\tchar\t\n"), "4096 elements in 128 bits");
}

Test(layout, elements_of_all_members_are_at_most_as_many_as_bits)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	buffer_puts(&text, "state 1 8 s\n");
	for (int i = 0; i < 9; i++)
		buffer_printf(&text, "i 8 0 8x1 a%d[]\tchar\t\n", i);
	cr_expect_not(is_one(text.data));
	text.data[text.size - strlen("i 8 0 8x1 a8[]\tchar\t\n")] = '\0';
	cr_expect(is_one(text.data));
}

Test(layout, only_small_integers_lie_beside_whole_bytes)
{
	cr_expect(is_one("state 1 16 s\nu 13 3 - a\tint\t\n"));
	cr_expect_not(is_one("state 1 16 s\nf 32 3 - a\tfloat\t\n"));
	cr_expect_not(is_one("state 1 16 s\nu 65 3 - a\tint\t\n"));
	cr_expect_not(is_one("state 1 16 s\nf 24 0 - a\tfloat\t\n"));
	cr_expect_not(is_one("state 1 16 s\nx 64 0 - a\tlong double\t\n"));
	cr_expect_not(is_one("state 1 16 s\ni 0 0 - a\tint\t\n"));
}

Test(layout, what_is_no_layout_is_refused)
{
	static const char *const wrong[] = {
		"", "\n", "state 1 8", "state 2 8 s\n", "state 1 0 s\n", "state 1 x s\n", "state 1 1073741825 s\ni 8 0 - a\tb\t\n",
		"state 1 8 s\ni 8 0 - a\tb\t", "state 1 8 s\ni 8 0 - a\tb\n", "state 1 8 s\ni 8 0 a\tb\t\n",
		"state 1 8 s\nq 8 0 - a\tb\t\n", "state 1 8 s\ni 8 0 -1 a\tb\t\n", "state 1 8 s\ni 8 0 2x a\tb\t\n",
		"state 1 8 s\ni 8 0 2x1, a\tb\t\n", "state 1 8 s\ni 8 0 0x1 a\tb\t\n", "state 1 8 s\n\n",
		"state 1 8 s\ni 8 0 1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1 a\tb\t\n", "state 1 8 s\ni 8 0 - a\x01\tb\t\n",
		"state 1 8 s\e\n",
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		cr_expect_not(is_one(wrong[i]), "%s", wrong[i]);
	cr_expect_null(layout_parse("state 1 8 s\n\0", 13));
}

Test(layout, names_are_bounded_and_members_too)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	struct layout_member m = { .name = (char[]){ "a" }, .type = (char[]){ "char" }, .inside = (char[]){ "" },
				   .kind = LAYOUT_SIGNED, .bits = 8 };
	struct layout *l = layout_new("s", 8);

	buffer_puts(&text, "state 1 8 s\ni 8 0 - ");
	for (unsigned i = 0; i <= LAYOUT_MAX_NAME; i++)
		buffer_putc(&text, 'a');
	buffer_puts(&text, "\tchar\t\n");
	cr_expect_not(is_one(text.data));
	for (unsigned i = 0; i < LAYOUT_MAX_MEMBERS; i++)
		cr_assert(layout_add(l, &m));
	cr_expect_not(layout_add(l, &m));
	layout_unref(l);
}

Test(layout, two_of_the_same_name_are_seen)
{
	struct layout *once = layout_of(8, "i 32 0 - a\tint\t\ni 32 32 - b\tint\t\n");
	struct layout *twice = layout_of(8, "i 32 0 - a\tint\t\ni 32 32 - a\tint\t\n");

	cr_expect_not(once->doubled);
	cr_expect(twice->doubled);
	layout_unref(once);
	layout_unref(twice);
}
