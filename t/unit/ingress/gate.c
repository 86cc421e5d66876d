/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "ingress/gate.h"

/* Whole, and with every pair of pieces: the verdict must not depend on how it came. */
static int judge(const char *head, size_t size, struct gate *ret)
{
	const char *why = "poison";
	struct gate whole = GATE_NULL;
	int verdict = gate_head(&whole, head, size, &why);

	for (size_t cut = 0; cut < size; cut++) {
		struct gate g = GATE_NULL;
		int r = gate_head(&g, head, cut, &why);

		if (r == GATE_MORE)
			r = gate_head(&g, head, size, &why);
		cr_assert_eq(r, verdict, "cut at %zu: %d, not %d", cut, r, verdict);
		if (verdict == GATE_WHOLE)
			cr_assert_eq(g.at, whole.at);
	}
	if (ret)
		*ret = whole;
	return verdict;
}

static int judge_text(const char *head)
{
	return judge(head, strlen(head), NULL);
}

#define GET "GET / HTTP/1.1\r\nHost: x\r\n"

Test(gate, tells_the_head_from_what_follows)
{
	const char *both = GET "Content-Length: 12\r\n\r\n{\"a\":1}\n\n\r\n\r\n";
	struct gate g = GATE_NULL;
	const char *why;

	cr_assert_eq(gate_head(&g, both, strlen(both), &why), GATE_WHOLE);
	cr_assert_eq(g.at, strlen(GET "Content-Length: 12\r\n\r\n"));
	cr_assert(g.has_length && g.length == 12 && !g.chunked && g.minor == 1);
}

Test(gate, waits_for_the_empty_line)
{
	cr_assert_eq(judge_text(""), GATE_MORE);
	cr_assert_eq(judge_text(GET), GATE_MORE);
	cr_assert_eq(judge_text(GET "\r"), GATE_MORE);
	cr_assert_eq(judge_text(GET "\r\n"), GATE_WHOLE);
}

Test(gate, tolerates_an_empty_line_before_the_request)
{
	struct gate g;
	const char *head = "\r\n" GET "\r\n";

	cr_assert_eq(judge(head, strlen(head), &g), GATE_WHOLE);
	cr_assert_eq(g.start, 2);
	cr_assert_eq(judge_text("\r\n\r\n\r\n" GET "\r\n"), 400);
}

Test(gate, refuses_what_readers_may_take_for_different_requests)
{
	static const char *const heads[] = {
		"GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nHost: x\n", GET "A: b\rc\r\n\r\n",
		GET " folded: x\r\n\r\n", GET "\tfolded: x\r\n\r\n", GET "A : b\r\n\r\n", GET ": b\r\n\r\n",
		GET "nonsense\r\n\r\n", GET "A: \x01\r\n\r\n", GET "A: \x7f\r\n\r\n", GET "A\x80: b\r\n\r\n",
		"GET  / HTTP/1.1\r\n", "GET / x HTTP/1.1\r\n", "GET /\r\n", " GET / HTTP/1.1\r\n",
		"GET /#a HTTP/1.1\r\n", "GET /\x80 HTTP/1.1\r\n", "GET / HTTQ/1.1\r\n", "GET / \r\n",
		GET "Host: x\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n\r\n",
		GET "Content-Length: 1\r\ncontent-length: 1\r\n\r\n", GET "Content-Length: 1, 1\r\n\r\n",
		GET "Content-Length: -1\r\n\r\n", GET "Content-Length: 1 1\r\n\r\n", GET "Content-Length:\r\n\r\n",
		GET "Content-Length: 00\r\n\r\n", GET "Content-Length: 0200\r\n\r\n",
		GET "Content-Length: +1\r\n\r\n", GET "Content-Length: 1_0\r\n\r\n", GET "Content-Length: 0x1\r\n\r\n",
		GET "Content-Length: 18446744073709551615\r\n\r\n",
		GET "Content-Length: 18446744073709551616\r\n\r\n",
		GET "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		GET "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
		GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		GET "Transfer-Encoding: gzip, chunked\r\n\r\n", GET "Transfer-Encoding: xchunked\r\n\r\n",
		GET "Transfer-Encoding: \x0b" "chunked\r\n\r\n", GET "Transfer-Encoding:\r\n\r\n",
		"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
		cr_assert_eq(judge_text(heads[i]), 400, "%zu: %s", i, heads[i]);
	cr_assert_eq(judge(GET "A: \0\r\n\r\n", sizeof(GET "A: \0\r\n\r\n") - 1, NULL), 400);
}

Test(gate, lets_what_is_only_unusual_pass)
{
	static const char *const heads[] = {
		GET "A:\r\n\r\n", GET "A:b\r\n\r\n", GET "A: \t b \t\r\n\r\n", GET "A: \xe9\xff\r\n\r\n",
		GET "x!#$%&'*+-.^_`|~9: y\r\n\r\n", GET "TRANSFER-ENCODING: \tChunked \r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n",
		"BREW http://x/%zz?{}|\\^ HTTP/1.1\r\nhost: x\r\n\r\n",
		GET "Content-Length: 18446744073709551614\r\n\r\n", GET "Content-Length: 0\r\n\r\n",
		GET "Content-Length:\t7 \t\r\n\r\n", GET "Content_Length: x\r\nTransfer_Encoding: x\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
		cr_assert_eq(judge_text(heads[i]), GATE_WHOLE, "%zu: %s", i, heads[i]);
}

Test(gate, speaks_two_versions)
{
	static const char *const no_version[] = {
		"HTTP/1.10", "HTTP/01.1", "HTTP/1", "HTTP/2", "HTTP/1.", "HTTP/ 1.1", "HTTP /1.1", "http/1.1", "HTTP/1,1",
		"HTTP/1.1 ", "HTTP/11.", "HTTP/1.x",
	};

	cr_assert_eq(judge_text("GET / HTTP/2.0\r\n"), 505);
	cr_assert_eq(judge_text("GET / HTTP/1.2\r\n"), 505);
	cr_assert_eq(judge_text("GET / HTTP/0.9\r\n"), 505);
	cr_assert_eq(judge_text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
	for (size_t i = 0; i < sizeof(no_version) / sizeof(*no_version); i++) {
		char line[64];

		snprintf(line, sizeof(line), "GET / %s\r\n", no_version[i]);
		cr_assert_eq(judge_text(line), 400, "%s", no_version[i]);
	}
}

Test(gate, refuses_what_isn_t_http_before_its_first_line_ends)
{
	cr_assert_eq(judge_text("\x16\x03\x01"), 400);
	cr_assert_eq(judge("\0", 1, NULL), 400);
	cr_assert_eq(judge_text("\xff"), 400);
	cr_assert_eq(judge_text("\r\n "), 400);
}

Test(gate, knows_a_head_request_also_when_it_refuses_it)
{
	struct gate g;
	const char *const refused = "HEAD / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", *const begun = "HEAD /";

	cr_assert_eq(judge(refused, strlen(refused), &g), 400);
	cr_assert(g.is_head);
	cr_assert_eq(judge(begun, strlen(begun), &g), GATE_MORE);
	cr_assert(g.is_head);
	cr_assert_eq(judge(GET, strlen(GET), &g), GATE_MORE);
	cr_assert(!g.is_head);
}

static bool closes(const char *head)
{
	struct gate g;

	cr_assert_eq(judge(head, strlen(head), &g), GATE_WHOLE, "%s", head);
	return g.close || (g.minor == 0 && !g.keep_alive);
}

Test(gate, knows_whether_the_connection_ends)
{
	cr_assert(!closes(GET "\r\n"));
	cr_assert(closes("GET / HTTP/1.0\r\n\r\n"));
	cr_assert(closes(GET "connection: x, ,\tClose\t,y\r\n\r\n"));
	cr_assert(closes(GET "Connection: x\r\nConnection: close\r\n\r\n"));
	cr_assert(!closes(GET "Connection: closed, xclose, clos\r\nProxy-Connection: close\r\n\r\n"));
	cr_assert(!closes("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
	cr_assert(closes("GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n"));
	cr_assert(closes("GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n"));
}

Test(gate, bounds_lines_fields_and_heads)
{
	static char head[40000];
	struct gate g = GATE_NULL;
	const char *why;
	size_t n;

	memset(head, 'a', sizeof(head));
	cr_assert_eq(gate_head(&g, head, GATE_MAX_LINE, &why), GATE_MORE);
	cr_assert_eq(gate_head(&g, head, GATE_MAX_LINE + 1, &why), 414);

	n = (size_t)snprintf(head, sizeof(head), GET);
	memset(head + n, 'a', sizeof(head) - n);
	g = (struct gate)GATE_NULL;
	cr_assert_eq(gate_head(&g, head, 16000, &why), GATE_MORE);
	cr_assert_eq(gate_head(&g, head, 17000, &why), 431);

	for (int i = 1; i < GATE_MAX_FIELDS; i++)
		n += (size_t)snprintf(head + n, sizeof(head) - n, "A: b\r\n");
	snprintf(head + n, sizeof(head) - n, "\r\n");
	g = (struct gate)GATE_NULL;
	cr_assert_eq(gate_head(&g, head, n + 2, &why), GATE_WHOLE);
	snprintf(head + n, sizeof(head) - n, "A: b\r\n\r\n");
	g = (struct gate)GATE_NULL;
	cr_assert_eq(gate_head(&g, head, n + 8, &why), 431);
}
