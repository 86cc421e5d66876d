/* SPDX-License-Identifier: MIT */

/* Whichever library is compiled: they can't be told apart from here. */

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "http/parser.h"

static char seen[1024];
static const char *refused; /* a text that callbacks don't want */

static int see(const char *kind, const char *at, size_t size)
{
	size_t n = strlen(seen);

	snprintf(seen + n, sizeof(seen) - n, "%s<%.*s>", kind, (int)size, at);
	return refused && strlen(refused) == size && memcmp(at, refused, size) == 0;
}

static int on_target(void *context, const char *at, size_t size)
{
	(void)context;
	return see("t", at, size);
}

static int on_field(void *context, const char *at, size_t size)
{
	(void)context;
	return see("f", at, size);
}

static int on_value(void *context, const char *at, size_t size)
{
	(void)context;
	return see("v", at, size);
}

static enum method method;
static const char *why;

static int head(const char *bytes)
{
	static const struct head_events events = { on_target, on_field, on_value };

	seen[0] = '\0';
	why = NULL;
	return parser_read_head(bytes, strlen(bytes), &events, NULL, &method, &why);
}

TestSuite(parser);

Test(parser, takes_a_head_apart)
{
	cr_assert_eq(head("POST /v2?a=b HTTP/1.1\r\nHost: x\r\nEmpty:\r\nB:  two words\r\n\r\n"), HEAD_READ);
	cr_assert_str_eq(seen, "t</v2?a=b>f<Host>v<x>f<Empty>v<>f<B>v<two words>");
	cr_assert_eq(method, METHOD_POST);
}

Test(parser, looks_at_no_body)
{
	cr_assert_eq(head("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"), HEAD_READ);
	cr_assert_eq(head("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"), HEAD_READ);
}

Test(parser, upgrades_to_nothing)
{
	cr_assert_eq(head("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), HEAD_READ);
	cr_assert_eq(method, METHOD_GET);
	cr_assert_eq(head("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"), HEAD_READ);
	cr_assert_eq(method, METHOD_CONNECT);
}

Test(parser, tells_methods_apart)
{
	static const char *const names[] = { "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *text = xasprintf("%s / HTTP/1.1\r\nHost: x\r\n\r\n", names[i]);

		cr_assert_eq(head(text), HEAD_READ, "%s", names[i]);
		cr_assert_str_eq(method_name(method), names[i]);
	}
	cr_assert_eq(head("PURGE / HTTP/1.1\r\nHost: x\r\n\r\n"), HEAD_READ);
	cr_assert_eq(method, METHOD_OTHER);
	cr_assert_eq(head("FETCH / HTTP/1.1\r\nHost: x\r\n\r\n"), HEAD_METHOD_UNKNOWN);
	cr_assert_eq(head("get / HTTP/1.1\r\nHost: x\r\n\r\n"), HEAD_METHOD_UNKNOWN);
}

Test(parser, tells_who_refused)
{
	refused = "/no";
	cr_assert_eq(head("GET /no HTTP/1.1\r\nHost: x\r\n\r\n"), HEAD_TARGET_BAD);
	refused = "no";
	cr_assert_eq(head("GET / HTTP/1.1\r\nHost: no\r\n\r\n"), HEAD_VALUE_REFUSED);
	cr_assert_eq(method, METHOD_GET);
	refused = NULL;
}

Test(parser, says_what_is_malformed)
{
	static const char *const wrong[] = {
		"GET / HTTP/1.1\r\nHost: x\r\n",
		"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "GET / HTTP/1.1\r\n: x\r\n\r\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		cr_assert_eq(head(wrong[i]), HEAD_MALFORMED, "%s", wrong[i]);
		cr_assert(why && *why, "%s", wrong[i]);
	}
}

/* Answers */

static char body[256];
static bool complete, enough;

static int on_body(void *context, const char *bytes, size_t size)
{
	(void)context;
	strncat(body, bytes, size);
	return enough;
}

static void on_complete(void *context)
{
	(void)context;
	complete = true;
}

static int answer(const char *bytes, size_t step, unsigned *ret_status)
{
	static const struct answer_events events = { .on_body = on_body, .on_complete = on_complete };
	struct answer_parser *p = answer_parser_new(&events, NULL);
	size_t size = strlen(bytes);
	int r = 0;

	body[0] = '\0';
	complete = false;
	for (size_t at = 0; at < size && r == 0; at += step)
		r = answer_parser_take(p, bytes + at, size - at < step ? size - at : step);
	if (r == 0 && !complete)
		r = answer_parser_take(p, NULL, 0);
	*ret_status = answer_parser_status(p);
	answer_parser_free(p);
	return r;
}

Test(parser, takes_an_answer_in_any_pieces)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", /* to its end */
	};
	unsigned status;

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		for (size_t step = 1; step <= strlen(answers[i]); step++) {
			cr_assert_eq(answer(answers[i], step, &status), 0, "%zu by %zu", i, step);
			cr_assert(complete);
			cr_assert_eq(status, 200);
			cr_assert_str_eq(body, "hello");
		}
	}
}

Test(parser, refuses_an_answer_that_is_none)
{
	unsigned status;

	cr_assert_eq(answer("220 smtp ready\r\n", 100, &status), -EBADMSG);
	enough = true;
	cr_assert_eq(answer("HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nhello", 100, &status), -EBADMSG);
	cr_assert_eq(status, 404);
}
