/* SPDX-License-Identifier: MIT */
#include "infer/json_parse.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/memory.h"

#define SIZE (JSON_KEPT + 12345)

/* @size bytes that repeat @pattern. */
static char *repeat(const char *pattern, size_t size)
{
	char *text = xmalloc(size);

	for (size_t i = 0; i < size; i++)
		text[i] = pattern[i % strlen(pattern)];
	return text;
}

Test(json_memory, counts_every_mark_and_no_other_byte)
{
	static const struct {
		const char *pattern;
		size_t marks;
	} all[] = {
		{ "1,", 1 }, { "[]{}", 4 }, { "\"a\":1.5e-3 ", 1 }, { "\\;]^-+\x0c\x1a|~_`", 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		size_t n = SIZE / strlen(all[i].pattern) * strlen(all[i].pattern);
		char *text = repeat(all[i].pattern, n);
		size_t counted = (json_memory(text, n) - 2 * n) / 24;
		size_t marks = n / strlen(all[i].pattern) * all[i].marks;

		/* The last bytes are counted, whatever they are. */
		cr_expect_geq(counted, marks, "%s: %zu of %zu", all[i].pattern, counted, marks);
		cr_expect_lt(counted, marks + 16, "%s: %zu of %zu", all[i].pattern, counted, marks);
		free(text);
	}
}

Test(json_memory, of_small_texts_is_kept_anyway)
{
	char *text = repeat(",", JSON_KEPT + 1);

	cr_expect_eq(json_memory(text, 0), 0);
	cr_expect_eq(json_memory(text, JSON_KEPT), 0);
	cr_expect_eq(json_memory(text, JSON_KEPT + 1), 26 * (JSON_KEPT + 1));
	free(text);
}
