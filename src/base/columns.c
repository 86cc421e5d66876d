/* SPDX-License-Identifier: MIT */
#include "base/columns.h"

#include <locale.h>
#include <stdbool.h>
#include <string.h>
#include <wchar.h>

#include "base/buffer.h"

#define INDENT 4 /* of what is broken off */

/* OSC, DCS, APC, PM and SOS: up to BEL or ESC \. */
static size_t string_size(const char *s, size_t size)
{
	size_t n = 2;

	while (n < size && s[n] != '\a' && s[n] != '\033')
		n++;
	if (n < size && s[n] == '\033')
		n++;
	return n < size ? n + 1 : n;
}

size_t escape_size(const char *s, size_t size)
{
	size_t n = 1;

	if (!size || s[0] != '\033')
		return 0;
	if (size > 1 && strchr("]P_^X", s[1]) && s[1])
		return string_size(s, size);
	if (size > 1 && s[1] == '[')
		for (n = 2; n < size && s[n] >= 0x20 && s[n] < 0x40; n++)
			;
	else
		for (n = 1; n < size && s[n] >= 0x20 && s[n] < 0x30; n++)
			;
	return n < size ? n + 1 : n;
}

/* wcwidth() knows the characters of the thread's locale only. */
static int width_of(wchar_t c)
{
	static locale_t utf8;
	locale_t before;
	int width;

	if (c >= 0x20 && c < 0x7f)
		return 1;
	if (!utf8)
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	if (!utf8)
		return 1;
	before = uselocale(utf8);
	width = wcwidth(c);
	uselocale(before);
	return width < 0 ? 1 : width;
}

/* Neither longer than it must be, nor half of a pair, nor beyond the last one. */
static bool is_character(const unsigned char *u, size_t n)
{
	if (n == 3)
		return !(u[0] == 0xe0 && u[1] < 0xa0) && !(u[0] == 0xed && u[1] >= 0xa0);
	if (n == 4)
		return !(u[0] == 0xf0 && u[1] < 0x90) && !(u[0] == 0xf4 && u[1] >= 0x90);
	return true;
}

size_t utf8_size(const char *s, size_t size)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t n = !size ? 0 : u[0] < 0x80 ? 1 : u[0] < 0xc2 ? 0 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : u[0] < 0xf5 ? 4 : 0;

	if (n > size)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	return n && is_character(u, n) ? n : 0;
}

/* The character at @s, which isn't empty: its size in bytes. What is none is taken byte by byte. */
static size_t character(const char *s, size_t size, wchar_t *ret)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t n = utf8_size(s, size);

	*ret = n > 1 ? u[0] & (0x7f >> n) : u[0];
	for (size_t i = 1; i < n; i++)
		*ret = *ret << 6 | (u[i] & 0x3f);
	return n ? n : 1;
}

/* The next character or escape sequence: its size, and the columns it takes. */
static size_t step(const char *s, size_t size, size_t *ret_columns)
{
	size_t n = escape_size(s, size);
	wchar_t c;

	*ret_columns = 0;
	if (n)
		return n;
	n = character(s, size, &c);
	*ret_columns = (size_t)width_of(c);
	return n;
}

size_t columns_of(const char *line, size_t size)
{
	size_t sum = 0, columns;

	for (size_t i = 0; i < size;) {
		i += step(line + i, size - i, &columns);
		sum += columns;
	}
	return sum;
}

void columns_cut(struct buffer *ret, const char *line, size_t size, size_t columns)
{
	size_t used = 0, width, n;
	bool full = false;

	for (size_t i = 0; i < size; i += n) {
		n = step(line + i, size - i, &width);
		full |= used + width > columns;
		if (full && width)
			continue;
		buffer_append(ret, line + i, n);
		used += width;
	}
}

/* Where the word that starts at @i ends, and how wide it is. */
static size_t word_end(const char *line, size_t size, size_t i, size_t *ret_columns)
{
	size_t start = i;

	while (i < size && line[i] != ' ') {
		size_t columns;

		i += step(line + i, size - i, &columns);
	}
	*ret_columns = columns_of(line + start, i - start);
	return i;
}

static void fold_line(struct buffer *ret, const char *line, size_t size, size_t columns)
{
	size_t used = 0, start, end, width;

	for (size_t i = 0; i < size; i = end) {
		for (start = i; start < size && line[start] == ' '; start++)
			;
		end = word_end(line, size, start, &width);
		if (used > INDENT && used + (start - i) + width > columns) {
			buffer_puts(ret, "\n    ");
			used = INDENT;
			i = start;
		}
		buffer_append(ret, line + i, end - i);
		used += start - i + width;
	}
}

void columns_fold(struct buffer *ret, const char *text, size_t size, size_t columns)
{
	while (size) {
		const char *end = memchr(text, '\n', size);
		size_t n = end ? (size_t)(end - text) : size;

		if (!columns || columns_of(text, n) <= columns)
			buffer_append(ret, text, n);
		else
			fold_line(ret, text, n, columns);
		if (end)
			buffer_putc(ret, '\n');
		text += n + (end != NULL);
		size -= n + (end != NULL);
	}
}
