/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <string.h>

#include "base/buffer.h"
#include "base/columns.h"

static size_t width(const char *line)
{
	return columns_of(line, strlen(line));
}

static void folds(const char *text, size_t columns, const char *expected)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	columns_fold(&b, text, strlen(text), columns);
	cr_expect_str_eq(buffer_text(&b), expected);
}

static void cuts(const char *line, size_t columns, const char *expected)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	columns_cut(&b, line, strlen(line), columns);
	cr_expect_str_eq(buffer_text(&b), expected);
}

Test(columns, a_character_is_as_wide_as_a_terminal_shows_it)
{
	cr_expect_eq(width("abc"), 3);
	cr_expect_eq(width("gen 7→8"), 7);
	cr_expect_eq(width("日本"), 4);
	cr_expect_eq(width("e\xcc\x81"), 1, "a combining accent");
	cr_expect_eq(width("\xff\xc3"), 2, "no UTF-8");
}

Test(columns, escape_sequences_take_none)
{
	cr_expect_eq(width("\033[1mbold\033[0m"), 4);
	cr_expect_eq(width("\033]8;;file:///a\033\\a\033]8;;\a"), 1);
	cr_expect_eq(width("\033(Bx\033[12"), 1);
	cr_expect_eq(escape_size("x", 1), 0);
	cr_expect_eq(escape_size("\033", 1), 1);
	cr_expect_eq(escape_size("\033[31mx", 6), 5);
	cr_expect_eq(escape_size("\033]0;title", 9), 9, "it doesn't end");
}

Test(columns, a_line_is_cut_with_its_colours_whole)
{
	cuts("abcdef", 3, "abc");
	cuts("\033[1mabcdef\033[0m", 3, "\033[1mabc\033[0m");
	cuts("a日本", 2, "a");
	cuts("ab", 2, "ab");
}

Test(columns, long_lines_are_broken_at_blanks)
{
	folds("one two three four", 9, "one two\n    three\n    four");
	folds("one two\nthree  four five\n", 12, "one two\nthree  four\n    five\n");
	folds("a-word-that-is-too-long and more", 10, "a-word-that-is-too-long\n    and\n    more");
	folds("\033[31mone\033[0m two", 7, "\033[31mone\033[0m two");
	folds("one two three", 0, "one two three");
}
