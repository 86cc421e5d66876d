/* SPDX-License-Identifier: MIT */
#include "infer/json_text.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "infer/json_parse.h"

/* In memory of exactly the text's size, so that reading past it is seen. */
static struct json_mistake find(const char *text)
{
	size_t size = strlen(text);
	char *copy = xmalloc(size ? size : 1);
	struct json_mistake m;

	memcpy(copy, text, size);
	json_find_mistake(copy, size, &m);
	free(copy);
	return m;
}

static const struct {
	const char *text, *what;
	size_t line, column;
} mistakes[] = {
	{ "", "the text ends where a value was expected", 1, 1 },
	{ " \n", "the text ends where a value was expected", 2, 1 },
	{ "[1,\n2,\n]", "a value was expected", 3, 1 },
	{ "[1 2]", "a comma or ']' was expected", 1, 4 },
	{ "[1", "the text ends before a bracket is closed", 1, 3 },
	{ "{\"a\":1", "the text ends before a bracket is closed", 1, 7 },
	{ "[1}", "a comma or ']' was expected", 1, 3 },
	{ "{\"a\":1]", "a comma or '}' was expected", 1, 7 },
	{ "{\"a\":1,}", "a key in double quotes was expected", 1, 8 },
	{ "{a:1}", "a key in double quotes was expected", 1, 2 },
	{ "{\"a\" 1}", "a colon was expected", 1, 6 },
	{ "{\"a\":}", "a value was expected", 1, 6 },
	{ "['a']", "strings are written with double quotes", 1, 2 },
	{ "[NaN]", "JSON has no NaN and no Infinity", 1, 2 },
	{ "[nan]", "a value was expected", 1, 2 },
	{ "[Infinity]", "JSON has no NaN and no Infinity", 1, 2 },
	{ "[-Infinity]", "JSON has no NaN and no Infinity", 1, 3 },
	{ "[True]", "a value was expected", 1, 2 },
	{ "[tru]", "a value was expected", 1, 2 },
	{ "[01]", "a number may not begin with a zero", 1, 3 },
	{ "[-]", "a digit is missing in a number", 1, 3 },
	{ "[+1]", "a value was expected", 1, 2 },
	{ "[.5]", "a value was expected", 1, 2 },
	{ "[1.]", "a digit is missing in a number", 1, 4 },
	{ "[1e]", "a digit is missing in a number", 1, 4 },
	{ "[1e+]", "a digit is missing in a number", 1, 5 },
	{ "[1.e3]", "a digit is missing in a number", 1, 4 },
	{ "[0x10]", "a comma or ']' was expected", 1, 3 },
	{ "[1] x", "something follows the JSON", 1, 5 },
	{ "{}{}", "something follows the JSON", 1, 3 },
	{ "[\"\t\"]", "a control character in a string must be escaped", 1, 3 },
	{ "[\"a", "the text ends within a string", 1, 4 },
	{ "[\"\\", "there is no such escape in a string", 1, 4 },
	{ "[\"\\x41\"]", "there is no such escape in a string", 1, 4 },
	{ "[\"\\u12g4\"]", "four hexadecimal digits must follow \\u", 1, 7 },
	{ "[\"\\u123", "four hexadecimal digits must follow \\u", 1, 8 },
	{ "[\"\\ud800\"]", "half of a surrogate pair is no character", 1, 9 },
	{ "[\"\\udc00\"]", "half of a surrogate pair is no character", 1, 9 },
	{ "[\"\\ud800\\u0041\"]", "half of a surrogate pair is no character", 1, 15 },
	{ "[\"\\uD800\\n\"]", "half of a surrogate pair is no character", 1, 10 },
	{ "[\"\xff\"]", "the text is not UTF-8", 1, 3 },
	{ "[\"\xc3\"]", "the text is not UTF-8", 1, 3 },
	{ "[\"\xed\xa0\x80\"]", "the text is not UTF-8", 1, 3 },
	{ "\xff", "a value was expected", 1, 1 },
	{ "\xef\xbb\xbf{}", "it begins with a byte order mark", 1, 1 },
	{ "[1]\x01", "something follows the JSON", 1, 4 },
	{ "[1,\n1e309]", "a number is larger than any FP64", 2, 1 },
	{ "[1.7976931348623157e308,-1.8e308]", "a number is larger than any FP64", 1, 25 },
	{ "[\n1\n,\n 1E0999]", "a number is larger than any FP64", 4, 2 },
	{ "1e999", "a number is larger than any FP64", 1, 1 },
	{ "[1e-999,1E400", "a number is larger than any FP64", 1, 9 },
};

Test(json_text, finds_the_first_mistake_and_says_what_it_is)
{
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		struct json_mistake m = find(mistakes[i].text);

		cr_expect_str_eq(m.what ? m.what : "", mistakes[i].what, "%s", mistakes[i].text);
		cr_expect_eq(m.line, mistakes[i].line, "%s: line %zu", mistakes[i].text, m.line);
		cr_expect_eq(m.column, mistakes[i].column, "%s: column %zu", mistakes[i].text,
			     m.column);
	}
}

Test(json_text, finds_nothing_wrong_with_json)
{
	static const char *const all[] = {
		"null", " [ ] ", "{\"a\":[{}, true,false ,null]}", "-0", "[0.5,-1e9,1E+2,1e-400]",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uD83D\\uDE00\xf0\x9f\x98\x80\x7f\"",
		"[1.7976931348623157e308]", "[123456789012345678901234567890]",
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		cr_expect_null(find(all[i]).what, "%s: %s", all[i], find(all[i]).what);
}

Test(json_text, finds_a_number_that_is_too_large_by_its_digits_alone)
{
	char text[512] = "[0,";

	memset(text + 3, '9', 308);
	cr_expect_null(find(text).what ? strstr(find(text).what, "FP64") : NULL, "308 digits fit");
	memcpy(text + 3 + 308, "9]", 3);
	cr_expect_str_eq(find(text).what, "a number is larger than any FP64");
	cr_expect_eq(find(text).column, 4);
}

Test(json_text, does_not_follow_a_hundred_thousand_brackets)
{
	size_t n = 100000;
	char *text = xmalloc(n + 1);

	memset(text, '[', n);
	text[n] = '\0';
	cr_expect_str_eq(find(text).what, "it is nested too deeply");
	free(text);
}

static void expect_spelling(const char *text, const char *wanted)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	bool any = json_respell(text, strlen(text), &b);

	cr_expect_eq(any, strcmp(text, wanted) != 0, "%s", text);
	cr_expect_eq(b.size, strlen(wanted));
	cr_expect_arr_eq(b.data, wanted, b.size, "%s", text);
	cr_expect_geq(b.room, b.size + JSON_PADDING);
}

Test(json_text, respells_integers_of_more_than_64_bits_and_no_others)
{
	expect_spelling("[18446744073709551615,9223372036854775808]",
			"[18446744073709551615,9223372036854775808]");
	expect_spelling("[-9223372036854775808]", "[-9223372036854775808]");
	expect_spelling("[18446744073709551616,1]", "[18446744073709551616.0,1]");
	expect_spelling("[-9223372036854775809]", "[-9223372036854775809.0]");
	expect_spelling("100000000000000000000000", "100000000000000000000000.0");
	expect_spelling("[100000000000000000000000e1,100000000000000000000000.5]",
			"[100000000000000000000000e1,100000000000000000000000.5]");
	expect_spelling("{\"100000000000000000000000\":\"\\\"100000000000000000000000\"}",
			"{\"100000000000000000000000\":\"\\\"100000000000000000000000\"}");
	expect_spelling("[\"100000000000000000000000", "[\"100000000000000000000000");
	expect_spelling("[\"\\", "[\"\\");
	expect_spelling("[0.1,-0,1e5,true]", "[0.1,-0,1e5,true]");
}
