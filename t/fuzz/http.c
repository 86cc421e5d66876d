/* SPDX-License-Identifier: MIT */

/*
 * Any bytes are a request: a head, then a chunked body. The verdict must not depend on the
 * pieces they come in, and what the gate lets pass the parser must take or refuse cleanly.
 * The first byte says where to cut.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "ingress/authorize.h"
#include "ingress/chunk.h"
#include "ingress/gate.h"
#include "ingress/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static int judge(const char *bytes, size_t size, size_t cut, struct gate *ret)
{
	struct gate whole = GATE_NULL, pieces = GATE_NULL;
	const char *why = NULL;
	int a = gate_head(&whole, bytes, size, &why), b = GATE_MORE;

	assert(a == GATE_MORE || a == GATE_WHOLE || (a >= 400 && why && *why));
	for (size_t n = cut; b == GATE_MORE && n < size; n += cut)
		b = gate_head(&pieces, bytes, n, &why);
	if (b == GATE_MORE)
		b = gate_head(&pieces, bytes, size, &why);
	/* Which limit is passed first may depend on the pieces, that one is doesn't. */
	assert(a == b || (a >= 400 && b >= 400));
	assert(a != GATE_WHOLE || (whole.at == pieces.at && whole.at <= size));
	*ret = whole;
	return a;
}

static void interpret(const struct gate *g, const char *bytes)
{
	static const struct authority us = { .loopback = true, .token = "secret" };
	static struct head h;
	struct buffer text = BUFFER_NULL;
	struct principal who;
	const char *why = NULL;
	int r = head_parse(&h, g, bytes, &why);

	assert(!r == !why);
	if (r)
		return;
	assert(h.n_fields == g->n_fields);
	assert(g->minor == 0 || h.host.at);
	who = (struct principal){ .host = h.host, .origin = h.origin, .site = h.site, .token = true,
				  .authorization = h.authorization };
	authorize(&us, &who, &why);
	if (target_resolve(h.target.path, &text, &h.target.path) == 0)
		assert(!memchr(h.target.path.at, 0, h.target.path.size));
	buffer_reset(&text);
	target_decode_query(h.target.query, &text);
	assert(!text.size || text.data[text.size - 1] == '\0');
	buffer_fini(&text);
}

/* The payload, and how it ended. */
static int decode(const char *bytes, size_t size, size_t cut, struct buffer *ret)
{
	struct chunk c = CHUNK_NULL;
	size_t at = 0, end = 0;
	int r = CHUNK_MORE;

	while (at < size && r < CHUNK_END) {
		size_t used = 0, n = 0;

		if (at == end)
			end = size - at > cut ? at + cut : size;
		r = chunk_decode(&c, bytes + at, end - at, &used, &n);
		assert(used > 0 && used <= end - at);
		assert(r == CHUNK_DATA ? n <= used : n == 0);
		buffer_append(ret, bytes + at + used - n, n);
		at += used;
	}
	return r == CHUNK_DATA ? CHUNK_MORE : r;
}

static void decode_both_ways(const char *bytes, size_t size, size_t cut)
{
	struct buffer whole = BUFFER_NULL, pieces = BUFFER_NULL;

	assert(decode(bytes, size, size, &whole) == decode(bytes, size, cut, &pieces));
	assert(whole.size == pieces.size);
	assert(!whole.size || memcmp(whole.data, pieces.data, whole.size) == 0);
	buffer_fini(&whole);
	buffer_fini(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct gate g;
	size_t cut;
	char *copy;

	if (size < 2)
		return 0;
	cut = bytes[0] ? bytes[0] : 1;
	size--;
	copy = malloc(size); /* of exactly that size: reading beyond is seen */
	assert(copy);
	memcpy(copy, bytes + 1, size);
	if (judge(copy, size, cut, &g) == GATE_WHOLE) {
		interpret(&g, copy);
		if (g.at < size)
			decode_both_ways(copy + g.at, size - g.at, cut);
	}
	decode_both_ways(copy, size, cut);
	free(copy);
	return 0;
}
