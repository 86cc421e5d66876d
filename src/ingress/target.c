/* SPDX-License-Identifier: MIT */
#include "ingress/target.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "infer/json_parse.h"

static const char *find(struct span s, char c)
{
	return s.size ? memchr(s.at, c, s.size) : NULL;
}

static struct span cut(struct span s, size_t n)
{
	return (struct span){ s.at + n, s.size - n };
}

int target_split(struct span raw, struct target *ret)
{
	struct target t = { .path = raw };
	const char *mark;

	if (raw.size > 7 && strncasecmp(raw.at, "http://", 7) == 0) {
		struct span rest = cut(raw, 7);

		mark = find(rest, '/');
		t.authority = (struct span){ rest.at, mark ? (size_t)(mark - rest.at) : rest.size };
		t.path = mark ? cut(rest, t.authority.size) : (struct span){ "/", 1 };
		if (!t.authority.size || find(t.authority, '?'))
			return 400;
	}
	mark = find(t.path, '?');
	if (mark) {
		size_t n = (size_t)(mark - t.path.at);

		t.query = cut(t.path, n + 1);
		t.path.size = n;
	}
	if (!t.path.size || (t.path.at[0] != '/' && !(raw.size == 1 && raw.at[0] == '*')))
		return 400;
	*ret = t;
	return 0;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that @raw begins with; *@ret_n: how many of @raw stand for it. -1: malformed. */
static int byte_at(struct span raw, size_t *ret_n)
{
	int high, low;

	*ret_n = 1;
	if (raw.at[0] != '%')
		return (unsigned char)raw.at[0];
	if (raw.size < 3)
		return -1;
	high = hex(raw.at[1]);
	low = hex(raw.at[2]);
	*ret_n = 3;
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool is_dots(struct span segment)
{
	return (segment.size == 1 || segment.size == 2) && memcmp(segment.at, "..", segment.size) == 0;
}

static bool has_dots(struct span path)
{
	const char *slash;

	while ((slash = find(path, '/'))) {
		size_t n = (size_t)(slash - path.at);

		if (is_dots((struct span){ path.at, n }))
			return true;
		path = cut(path, n + 1);
	}
	return is_dots(path);
}

static int decode_path(struct span raw, struct buffer *ret)
{
	size_t n;

	buffer_reset(ret);
	buffer_reserve(ret, raw.size);
	for (; raw.size; raw = cut(raw, n)) {
		int c = byte_at(raw, &n);

		if (c < ' ' || c == 0x7f || (c == '/' && n > 1))
			return -1;
		buffer_putc(ret, (char)c);
	}
	return json_is_utf8(ret->data, ret->size) ? 0 : -1;
}

int target_resolve(struct span raw, struct buffer *scratch, struct span *ret)
{
	struct span path = raw;

	if (find(raw, '%')) {
		if (decode_path(raw, scratch) < 0)
			return -1;
		path = (struct span){ scratch->data, scratch->size };
	}
	if (find(path, '\\') || has_dots(path))
		return -1;
	*ret = path;
	return 0;
}

static int decode_word(struct span raw, struct buffer *ret)
{
	size_t n;

	for (; raw.size; raw = cut(raw, n)) {
		int c = byte_at(raw, &n);

		if (c <= 0)
			return -1;
		buffer_putc(ret, c == '+' && n == 1 ? ' ' : (char)c);
	}
	buffer_putc(ret, '\0');
	return 0;
}

void target_decode_query(struct span query, struct buffer *ret)
{
	while (query.size) {
		const char *end = find(query, '&'), *equals;
		struct span key = { query.at, end ? (size_t)(end - query.at) : query.size };
		struct span value = { query.at, 0 };
		size_t before = ret->size;

		query = cut(query, key.size + (end != NULL));
		equals = find(key, '=');
		if (equals) {
			value = cut(key, (size_t)(equals - key.at) + 1);
			key.size -= value.size + 1;
		}
		if (key.size && (decode_word(key, ret) < 0 || decode_word(value, ret) < 0))
			ret->size = before;
	}
}
