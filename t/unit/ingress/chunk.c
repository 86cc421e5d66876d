/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "ingress/chunk.h"

/* Decode @raw in pieces of @piece bytes; the payload goes to @ret. */
static int decode(const char *raw, size_t size, size_t piece, char *ret, size_t *ret_left)
{
	struct chunk c = CHUNK_NULL;
	size_t at = 0, end = 0;
	char *to = ret;

	while (at < size) {
		size_t used = 12345, n = 0;
		int r;

		if (at == end)
			end = at + piece < size ? at + piece : size;
		r = chunk_decode(&c, raw + at, end - at, &used, &n);
		cr_assert(used > 0 && used <= end - at && n <= used);
		if (r == CHUNK_DATA) {
			memcpy(to, raw + at + used - n, n);
			to += n;
		}
		at += used;
		if (r >= CHUNK_END) {
			*to = '\0';
			*ret_left = size - at;
			return r;
		}
	}
	*to = '\0';
	return CHUNK_MORE;
}

static void decodes(const char *raw, const char *payload, size_t left)
{
	for (size_t piece = 1; piece <= strlen(raw); piece++) {
		char got[256];
		size_t rest = 999;

		cr_assert_eq(decode(raw, strlen(raw), piece, got, &rest), CHUNK_END, "%s by %zu", raw, piece);
		cr_assert_str_eq(got, payload);
		cr_assert_eq(rest, left);
	}
}

Test(chunk, decodes_in_pieces_of_any_size)
{
	decodes("0\r\n\r\n", "", 0);
	decodes("3\r\nabc\r\n0\r\n\r\n", "abc", 0);
	decodes("3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\nGET /", "abc0123456789", 5);
	decodes("0003\r\n\r\n\r\r\n000\r\n\r\n", "\r\n\r", 0);
}

static void refuses(const char *const *bodies, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char got[64];
		size_t left;

		cr_assert_eq(decode(bodies[i], strlen(bodies[i]), 100, got, &left), CHUNK_BAD, "%s", bodies[i]);
		cr_assert_eq(decode(bodies[i], strlen(bodies[i]), 1, got, &left), CHUNK_BAD, "%s", bodies[i]);
	}
}

Test(chunk, reads_over_extensions_and_trailers)
{
	decodes("3;a\r\nabc\r\n0;b=\"c d\"; e\r\n\r\n", "abc", 0);
	decodes("3;a ; b\t= c;d=\"\\\"\\\\;\";e\r\nabc\r\n0\r\n\r\n", "abc", 0);
	decodes("1\r\nx\r\n0\r\nX-Y: z\r\nA:\r\n\r\nrest", "x", 4);
	decodes("0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: x\r\n\r\nGET /", "", 5);
}

Test(chunk, refuses_what_readers_may_frame_differently)
{
	static const char *const bodies[] = {
		"\r\n", ";a\r\n", "g\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", " 1\r\n", "1 \r\n", "1\n", "1\rx",
		"1_0\r\n", "1 ;a\r\n", "\t1\r\n", "1\r\r\n", "1\r\nab", "1\r\na\n", "1\r\na\rb", "1\r\naX\r\n",
		"FFFFFFFFFFFFFFFF0\r\n", "FFFFFFFFFFFFFFFF\r\n", "1 \n", "0\r\n\n", "0\r\n\rx", "+0\r\n", "00000000000000001\r\n",
	};
	static const char *const extensions[] = {
		"1;\r\n", "1;;a\r\n", "1;=a\r\n", "1;a\x01\r\n", "1;a\n", "1;a\r1", "1;a=\r\n", "1;a=b c\r\n", "1;a b\r\n",
		"1;a \r\n", "1;a=b \r\n", "1;a=\"b\r\n", "1;a=\"b\n\"\r\n", "1;a=\"b\"c\r\n", "1;b[=x\r\n", "1;a==b\r\n",
		"1;a=b=c\r\n", "1;a=\"\x7f\"\r\n", "1;a\x80\r\n", "1;a,b\r\n",
	};
	static const char *const trailers[] = {
		"0\r\n a: b\r\n", "0\r\na: b\n", "0\r\na\x7f: b\r\n", "0\r\n: b\r\n", "0\r\na : b\r\n", "0\r\na\r\n",
		"0\r\na: b\rc\r\n", "0\r\na: \x01\r\n", "0\r\n\ta: b\r\n", "0\r\na: b\r\n c\r\n", "0\r\na[: b\r\n",
	};

	refuses(bodies, sizeof(bodies) / sizeof(*bodies));
	refuses(extensions, sizeof(extensions) / sizeof(*extensions));
	refuses(trailers, sizeof(trailers) / sizeof(*trailers));
}

Test(chunk, bounds_extensions_trailers_and_numbers_of_chunks)
{
	static char raw[CHUNK_MAX * 6 + 100], got[CHUNK_MAX + 2];
	size_t left, n;

	n = (size_t)snprintf(raw, sizeof(raw), "1;a");
	memset(raw + n, 'a', CHUNK_MAX_EXTRA);
	cr_assert_eq(decode(raw, n + CHUNK_MAX_EXTRA, 1000, got, &left), CHUNK_LIMIT);
	n = 0;
	for (int i = 0; i < CHUNK_MAX_EXTRA / 2; i++)
		n += (size_t)snprintf(raw + n, sizeof(raw) - n, "1;aa\r\nx\r\n");
	cr_assert_eq(decode(raw, n, 1000, got, &left), CHUNK_LIMIT, "however many chunks they are spread over");
	n = (size_t)snprintf(raw, sizeof(raw), "0\r\n");
	for (int i = 0; i < CHUNK_MAX_EXTRA; i += 5)
		n += (size_t)snprintf(raw + n, sizeof(raw) - n, "a: b\r\n");
	cr_assert_eq(decode(raw, n, 1000, got, &left), CHUNK_LIMIT);
	n = 0;
	for (int i = 0; i <= CHUNK_MAX; i++)
		n += (size_t)snprintf(raw + n, sizeof(raw) - n, "1\r\nx\r\n");
	cr_assert_eq(decode(raw, n, 1000, got, &left), CHUNK_LIMIT);
}
