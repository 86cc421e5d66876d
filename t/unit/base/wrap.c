/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "base/buffer.h"
#include "base/wrap.h"

static void expect(const char *text, size_t at, size_t indent, size_t width, const char *expected)
{
	struct buffer b = BUFFER_NULL;

	text_wrap(&b, text, at, indent, width);
	cr_expect_str_eq(buffer_text(&b), expected);
	buffer_fini(&b);
}

Test(wrap, lines_are_broken_at_blanks)
{
	expect("", 0, 0, 10, "");
	expect("one two three", 0, 0, 7, "one two\nthree");
	expect("one two three", 0, 0, 8, "one two\nthree");
	expect("one two three", 0, 0, 6, "one\ntwo\nthree");
	expect("  one   two  ", 0, 0, 80, "one two");
}

Test(wrap, what_follows_is_indented)
{
	expect("one two", 4, 4, 8, "one\n    two");
	expect("one two", 4, 4, 11, "one two");
}

Test(wrap, a_word_that_is_too_long_stays_whole)
{
	expect("a https://example.org/long b", 0, 2, 8, "a\n  https://example.org/long\n  b");
	expect("long", 8, 2, 8, "long");
}

Test(wrap, an_empty_line_starts_a_paragraph)
{
	expect("one\n\ntwo three", 0, 2, 6, "one\n\n  two\n  three");
	expect("one\ntwo", 0, 0, 80, "one two");
}

Test(wrap, columns_are_counted_not_bytes)
{
	expect("\u00e9\u00e9\u00e9 \u00e9\u00e9\u00e9", 0, 0, 7, "\u00e9\u00e9\u00e9 \u00e9\u00e9\u00e9");
	cr_expect_eq(text_columns("\u00e9a"), 2);
}
