/* SPDX-License-Identifier: MIT */
#include "infer/json_parse.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/memory.h"
#include "infer/dtype.h"

#include <devserve/deployment.h>

/* From memory of exactly the size that was promised, so that reading past it is seen. */
static int parse_n(const char *json, size_t size, struct node *ret)
{
	char *text = malloc(size + JSON_PADDING);
	const char *why = NULL;
	int e;

	memcpy(text, json, size);
	memset(text + size, '7', JSON_PADDING);
	ret->at = 4711;
	e = json_parse(text, size, ret, &why);
	cr_assert_eq(e != 0, why != NULL);
	memset(text, '!', size); /* nodes don't need it */
	free(text);
	return e;
}

static int parse(const char *json, struct node *ret)
{
	return parse_n(json, strlen(json), ret);
}

static int parse_nested(size_t depth)
{
	char *text = xmalloc(2 * depth);
	struct node n;
	int e;

	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	e = parse_n(text, 2 * depth, &n);
	free(text);
	return e;
}

Test(json_parse, knows_the_kinds)
{
	struct node n, e;
	struct node_cursor c;
	static const enum node_type kinds[] = {
		NODE_NULL,   NODE_BOOL,   NODE_NUMBER, NODE_NUMBER,
		NODE_NUMBER, NODE_STRING, NODE_ARRAY,  NODE_OBJECT
	};
	size_t i = 0;

	cr_assert_eq(parse("[null,true,-1,18446744073709551615,1.5,\"\",[],{}]", &n), 0);
	for (c = node_elements(n); node_next(&c, &e); i++)
		cr_expect_eq(node_type(e), kinds[i], "%zu", i);
	cr_expect_eq(i, 8);
	cr_expect_eq(node_type((struct node){ 0 }), NODE_ABSENT);
}

Test(json_parse, picks_members_and_tells_which_comes_twice)
{
	static const struct node_key keys[] = { NODE_KEY("a"), NODE_KEY("missing"),
						NODE_KEY("long key") };
	struct node n, m[3];
	uint64_t v = 99;
	const char *s = NULL;
	size_t size = 99;

	cr_assert_eq(parse("{\"a\":2,\"long key\":\"x\\u0000y\",\"\":0,\"\":1}", &n), 0);
	cr_expect_null(node_pick(n, keys, 3, m));
	cr_expect(node_uint(m[0], &v));
	cr_expect_eq(v, 2);
	cr_expect_eq(node_type(m[1]), NODE_ABSENT);
	cr_expect(node_string(m[2], &s, &size));
	cr_expect_eq(size, 3);
	cr_expect_arr_eq(s, "x\0y", 3);
	cr_assert_eq(parse("{\"a\":1,\"long key\":\"x\",\"\\u0061\":1}", &n), 0);
	cr_expect_eq(node_pick(n, keys, 3, m), &keys[0]);
}

Test(json_parse, picks_nothing_from_what_is_no_object)
{
	static const struct node_key keys[] = { NODE_KEY("a") };
	static const char *const others[] = { "1", "[\"a\"]", "\"a\"", "null" };
	struct node n, m;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		cr_assert_eq(parse(others[i], &n), 0);
		m.at = 4711;
		node_pick(n, keys, 1, &m);
		cr_expect_eq(node_type(m), NODE_ABSENT, "%s", others[i]);
	}
}

Test(json_parse, walks_members_in_order)
{
	struct node n, value;
	struct node_cursor c;
	const char *key;
	size_t size;
	char all[16] = "";

	cr_assert_eq(parse("{\"x\":{\"q\":1},\"y\":[1,2],\"z\":3}", &n), 0);
	for (c = node_members(n); node_next_member(&c, &key, &size, &value);)
		strncat(all, key, size);
	cr_expect_str_eq(all, "xyz");
	cr_assert_eq(parse("{}", &n), 0);
	c = node_members(n);
	cr_expect_not(node_next_member(&c, &key, &size, &value));
}

Test(json_parse, refuses_what_is_no_json)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"[1 2]",
		"{\"a\" 1}",
		"nul",
		"{\"a\":nonsense}",
		"[1,]",
		"[NaN]",
		"[Infinity]",
		"[01]",
		"[1e400]",
		"[.5]",
		"[\"\\ud800\"]",
		"\"\xff\"",
		"[\"\xed\xa0\x80\"]",
		"{} {}",
		"{'a':1}",
		"[1]]",
		"\xef\xbb\xbf{}",
		"[\"\n\"]",
		"[-]",
		"[1e]",
	};
	struct node n;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect_eq(parse(bad[i], &n), JSON_E_SYNTAX, "%s", bad[i]);
	cr_expect_eq(parse_n("[\"\0\"]", 5, &n), JSON_E_SYNTAX);
	cr_expect_eq(parse_n("[]\0", 3, &n), JSON_E_SYNTAX);
}

Test(json_parse, ends_at_a_depth_of_a_hundred)
{
	cr_expect_eq(parse_nested(100), 0);
	cr_expect_eq(parse_nested(101), JSON_E_DEPTH);
	cr_expect_eq(parse_nested(100000), JSON_E_DEPTH);
}

Test(json_parse, still_works_after_large_and_broken_documents)
{
	size_t size = 3 << 20;
	char *large = xmalloc(size);
	struct node n;

	for (int i = 0; i < 3; i++) {
		memset(large, ' ', size);
		large[size - 2] = '[';
		large[size - 1] = ']';
		cr_expect_eq(parse_n(large, size, &n), 0);
		cr_expect_eq(node_type(n), NODE_ARRAY);
		json_close();
		large[size - 1] = 'x';
		cr_expect_eq(parse_n(large, size, &n), JSON_E_SYNTAX);
		json_close();
		cr_expect_eq(parse("true", &n), 0);
		json_close();
	}
	free(large);
}

Test(json_parse, takes_whole_numbers_for_unsigned_integers)
{
	static const struct {
		const char *json;
		uint64_t value;
	} good[] = { { "0", 0 },
		     { "16", 16 },
		     { "1e3", 1000 },
		     { "2.0", 2 },
		     { "-0", 0 },
		     { "9223372036854775808", UINT64_C(1) << 63 },
		     { "18446744073709551615", UINT64_MAX } };
	static const char *const bad[] = { "-1",   "1.5", "1e20", "\"1\"", "true",
					   "null", "[1]", "{}",   "-1e3" };
	struct node n;
	uint64_t v;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		v = ~good[i].value;
		cr_assert_eq(parse(good[i].json, &n), 0);
		cr_expect(node_uint(n, &v) && v == good[i].value, "%s", good[i].json);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		v = 4711;
		cr_assert_eq(parse(bad[i], &n), 0);
		cr_expect_not(node_uint(n, &v), "%s", bad[i]);
		cr_expect_eq(v, 4711);
	}
	cr_expect_not(node_uint((struct node){ 0 }, &v));
}

Test(json_parse, tells_utf8_from_other_bytes)
{
	cr_expect(json_is_utf8("", 0));
	cr_expect(json_is_utf8("h\xc3\xa9\xf0\x9f\x98\x80", 7));
	cr_expect_not(json_is_utf8("\xff", 1));
	cr_expect_not(json_is_utf8("\xc3", 1));
	cr_expect_not(json_is_utf8("\xc0\x80", 2));
}

/* Bytes that malloc() has got from the system and not given back. */
static size_t mapped(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.arena + m.hblkhd;
}

static void parse_spaces(size_t size)
{
	char *text = xmalloc(size);
	struct node n;

	memset(text, ' ', size);
	text[0] = '1';
	cr_assert_eq(parse_n(text, size, &n), 0);
	free(text);
}

Test(json_parse, keeps_memory_while_there_is_work_and_gives_it_back_then)
{
	const char *sanitize = getenv("DEVSERVE_SANITIZE");
	size_t before;

	if (sanitize && *sanitize)
		cr_skip_test("a sanitizer has its own malloc()");
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	parse_spaces(1000);
	json_close();
	before = mapped();
	parse_spaces(JSON_KEPT);
	json_close();
	cr_expect_gt(mapped(), before + JSON_KEPT);
	json_trim();
	cr_expect_leq(mapped(), before);
	parse_spaces(JSON_KEPT + 1);
	json_close();
	cr_expect_leq(mapped(), before);
	parse_spaces(1000);
	json_trim();
	cr_expect_leq(mapped(), before + 512 * 1024, "what a small one needs is kept");
}
