/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/buffer.h"

/* A value follows: a comma is due unless a container or a key was just opened. */
static void value_follows(struct buffer *b, const char *key)
{
	char last = b->size ? b->data[b->size - 1] : '\n';

	if (!strchr("{[: \n", last))
		buffer_putc(b, ',');
	if (key)
		buffer_printf(b, "\"%s\":", key);
}

size_t json_utf8_length(const char *text, size_t left)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3
		   : s[0] < 0xf5 ? 4 : 0;

	if (!n || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static void escaped(struct buffer *b, unsigned char c)
{
	static const char letters[] = "\bb\ff\nn\rr\tt\"\"\\\\";

	for (const char *p = letters; *p; p += 2) {
		if ((unsigned char)*p == c) {
			buffer_printf(b, "\\%c", p[1]);
			return;
		}
	}
	buffer_printf(b, "\\u%04x", c);
}

static void quoted(struct buffer *b, const unsigned char *s, size_t size)
{
	size_t plain = 0; /* bytes before @i that are copied as they are */

	buffer_putc(b, '"');
	for (size_t i = 0; i < size;) {
		bool special = s[i] < 0x20 || s[i] == '"' || s[i] == '\\' || s[i] == 0x7f;
		size_t n = special ? 0 : json_utf8_length((const char *)s + i, size - i);

		if (n) {
			i += n;
			continue;
		}
		buffer_append(b, s + plain, i - plain);
		if (special)
			escaped(b, s[i]);
		else
			buffer_puts(b, "\xef\xbf\xbd");
		plain = ++i;
	}
	buffer_append(b, s + plain, size - plain);
	buffer_putc(b, '"');
}

void json_object(struct buffer *b, const char *key)
{
	value_follows(b, key);
	buffer_putc(b, '{');
}

void json_object_end(struct buffer *b)
{
	buffer_putc(b, '}');
}

void json_array(struct buffer *b, const char *key)
{
	value_follows(b, key);
	buffer_putc(b, '[');
}

void json_array_end(struct buffer *b)
{
	buffer_putc(b, ']');
}

void json_string(struct buffer *b, const char *key, const char *value)
{
	if (value)
		json_string_n(b, key, value, strlen(value));
	else
		json_raw(b, key, "null");
}

void json_string_n(struct buffer *b, const char *key, const char *value, size_t size)
{
	value_follows(b, key);
	quoted(b, (const unsigned char *)value, size);
}

void json_int(struct buffer *b, const char *key, int64_t value)
{
	value_follows(b, key);
	buffer_printf(b, "%" PRId64, value);
}

void json_uint(struct buffer *b, const char *key, uint64_t value)
{
	value_follows(b, key);
	buffer_printf(b, "%" PRIu64, value);
}

void json_double(struct buffer *b, const char *key, double value)
{
	if (!isfinite(value)) {
		json_raw(b, key, "null");
		return;
	}
	value_follows(b, key);
	buffer_printf(b, "%.6g", value);
}

void json_bool(struct buffer *b, const char *key, bool value)
{
	json_raw(b, key, value ? "true" : "false");
}

void json_raw(struct buffer *b, const char *key, const char *json)
{
	value_follows(b, key);
	buffer_puts(b, json);
}
