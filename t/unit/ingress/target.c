/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "base/buffer.h"
#include "ingress/target.h"

static struct span span_of(const char *text)
{
	return (struct span){ text, strlen(text) };
}

static void is(struct span s, const char *text)
{
	cr_assert(s.size == strlen(text) && (!s.size || memcmp(s.at, text, s.size) == 0), "%.*s is not %s",
		  (int)s.size, s.at, text);
}

static void splits(const char *raw, const char *authority, const char *path, const char *query)
{
	struct target t;

	cr_assert_eq(target_split(span_of(raw), &t), 0, "%s", raw);
	is(t.authority, authority);
	is(t.path, path);
	is(t.query, query);
}

Test(target, has_three_forms)
{
	splits("/", "", "/", "");
	splits("/a/b?c=d?e", "", "/a/b", "c=d?e");
	splits("/?", "", "/", "");
	splits("*", "", "*", "");
	splits("http://h:8000/a?b", "h:8000", "/a", "b");
	splits("HTTP://h", "h", "/", "");
}

Test(target, is_refused_in_any_other)
{
	static const char *const raw[] = { "a", "?a", "http://", "http:///a", "http://?a", "https://h/", "h:80", "**" };
	struct target t;

	for (size_t i = 0; i < sizeof(raw) / sizeof(*raw); i++)
		cr_assert_eq(target_split(span_of(raw[i]), &t), 400, "%s", raw[i]);
}

static void decodes(const char *raw, const char *text)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	struct span path;

	cr_assert_eq(target_resolve(span_of(raw), &b, &path), 0, "%s", raw);
	is(path, text);
	cr_assert_eq(path.at == raw, strcmp(raw, text) == 0, "only what is encoded is copied");
}

Test(target, is_decoded_once)
{
	decodes("/v2/models/%73imple", "/v2/models/simple");
	decodes("%2573", "%73");
	decodes("/a+b/.../..c/.d", "/a+b/.../..c/.d");
	decodes("/%C3%a9", "/\xc3\xa9");
}

Test(target, with_what_no_name_has_is_refused)
{
	static const char *const raw[] = {
		"/%00", "/a%0a", "/%7f", "/a%2Fb", "/a\\b", "/%5c", "/%", "/%1", "/%g1", "/%1g",
		"/.", "/..", "/a/../b", "/%2e%2E/b", "/a/.", "/./a", "..", "/%ff", "/%c0%af", "/%ed%a0%80", "/%c3",
	};

	for (size_t i = 0; i < sizeof(raw) / sizeof(*raw); i++) {
		_cleanup_buffer_ struct buffer b = BUFFER_NULL;

		struct span path;

		cr_assert_eq(target_resolve(span_of(raw[i]), &b, &path), -1, "%s", raw[i]);
	}
}

Test(target, ends_where_it_ends)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	struct span path;

	cr_assert_eq(target_resolve((struct span){ "/a%41", 4 }, &b, &path), -1, "what is behind it isn't looked at");
	cr_assert_eq(target_resolve((struct span){ "/a%41", 3 }, &b, &path), -1);
	buffer_reset(&b);
	target_decode_query((struct span){ "a=%41", 4 }, &b);
	cr_assert_eq(b.size, 0);
}

Test(target, query_becomes_pairs)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	static const char want[] = "a\0" "1\0" "b\0" "x y&\0" "c\0" "\0" "d\0" "=";

	target_decode_query(span_of("a=1&b=x+y%26&c&&=no&bad=%zz&nul=%00&%ff%&d=="), &b);
	cr_assert_eq(b.size, sizeof(want));
	cr_assert_arr_eq(b.data, want, sizeof(want));
}
