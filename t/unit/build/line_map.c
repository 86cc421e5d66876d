/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "build/line_map.h"

/* Texts of one letter a line; expected: for each of @before its place, '.' where it is gone. */
static void expect(const char *before, const char *after, const char *expected)
{
	size_t n = strlen(before), m = strlen(after), map[64];
	uint32_t a[64] = { 0 }, b[64] = { 0 };

	for (size_t i = 0; i < n; i++)
		a[i] = (uint32_t)before[i];
	for (size_t i = 0; i < m; i++)
		b[i] = (uint32_t)after[i];
	line_map(a, n, b, m, map);
	for (size_t i = 0; i < n; i++)
		cr_expect_eq(map[i], expected[i] == '.' ? LINE_GONE : (size_t)(expected[i] - '0'),
			     "%s to %s: line %zu is at %zd", before, after, i, (ssize_t)map[i]);
}

Test(line_map, lines_are_found_where_they_went)
{
	expect("", "", "");
	expect("abc", "abc", "012");
	expect("abc", "xabc", "123");
	expect("abc", "abxc", "013");
	expect("abc", "abcx", "012");
	expect("abc", "ac", "0.1");
	expect("abc", "", "...");
	expect("", "abc", "");
	expect("abc", "axc", "0.2");
	expect("abcd", "xbcy", ".12.");
}

/* Whatever was edited: what is mapped is the same line, in order, and no edit more than was made. */
Test(line_map, any_edit_keeps_the_order_and_the_lines)
{
	uint32_t a[200] = { 0 }, b[400] = { 0 };
	size_t map[200];

	srand(7);
	for (int round = 0; round < 300; round++) {
		size_t n = (size_t)(rand() % 200), m = 0, kept = 0, found = 0, next = 0;
		int edits = 1 + rand() % 40;

		for (size_t i = 0; i < n; i++)
			a[i] = (uint32_t)(rand() % 50);
		for (size_t i = 0; i < n; i++) {
			if (rand() % 100 < edits)
				b[m++] = (uint32_t)(rand() % 50);
			if (rand() % 100 < edits)
				continue;
			b[m++] = a[i];
			kept++;
		}
		line_map(a, n, b, m, map);
		for (size_t i = 0; i < n; i++) {
			if (map[i] == LINE_GONE)
				continue;
			cr_assert(map[i] >= next && map[i] < m, "round %d, line %zu", round, i);
			cr_assert_eq(a[i], b[map[i]]);
			next = map[i] + 1;
			found++;
		}
		cr_assert(found >= kept, "round %d: %zu of %zu", round, found, kept);
	}
}

Test(line_map, after_too_many_edits_the_ends_are_still_found)
{
	enum { N = 3000 };
	_cleanup_free_ uint32_t *a = xcalloc(N, sizeof(*a)), *b = xcalloc(N, sizeof(*b));
	_cleanup_free_ size_t *map = xcalloc(N, sizeof(*map));

	for (uint32_t i = 0; i < N; i++) {
		a[i] = i;
		b[i] = i > 9 && i < N - 10 ? i + N : i;
	}
	line_map(a, N, b, N, map);
	for (size_t i = 0; i < N; i++)
		cr_assert_eq(map[i], i > 9 && i < N - 10 ? LINE_GONE : i);
}

Test(line_map, indentation_is_no_edit)
{
	static const char one[] = "if\n\tx = 1;\n", two[] = "  if\n\t\tx = 1;\ny = 2";
	size_t n, m;
	_cleanup_free_ uint32_t *a = line_hashes(one, strlen(one), &n), *b = line_hashes(two, strlen(two), &m);

	cr_assert_eq(n, 2);
	cr_assert_eq(m, 3);
	cr_expect_eq(a[0], b[0]);
	cr_expect_eq(a[1], b[1]);
	cr_expect_neq(a[1], b[2]);
}
