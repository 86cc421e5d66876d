/* SPDX-License-Identifier: MIT */

/*
 * A place is an absolute path that ends with :LINE or (LINE), wherever it stands in a line: the
 * compilers are given absolute paths and write them as they got them. A path may have blanks
 * below the root, whose name is known; elsewhere it ends with one.
 */

#include "serve/compiler_text.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/columns.h"
#include "base/file.h"
#include "base/memory.h"
#include "serve/style.h"

struct place {
	size_t path_size, size; /* of the path, of all */
	unsigned line, column;
};

/* ":12" or "(12": bytes. */
static size_t number_after(const char *s, const char *end, char mark, unsigned *ret)
{
	const char *p = s + 1;
	unsigned n = 0;

	if (s >= end || *s != mark)
		return 0;
	while (p < end && isdigit((unsigned char)*p) && n < 100000000)
		n = n * 10 + (unsigned)(*p++ - '0');
	*ret = n;
	return n ? (size_t)(p - s) : 0;
}

static bool ends_path(const char *s, const char *end)
{
	return s == end || strchr("\n\033\"'`;", *s);
}

static bool may_have_blanks(const struct style *s, const char *path)
{
	size_t n = s->root ? strlen(s->root) : 0;

	return n > 1 && strncmp(path, s->root, n) == 0 && path[n] == '/';
}

/* "FILE: In function …", of a file whose name gets shorter. */
static bool find_file(const struct style *s, const char *path, const char *end, struct place *ret)
{
	const char *p = path;
	_cleanup_free_ char *copy = NULL;

	while (!ends_path(p, end) && !(*p == ':' && (p + 1 == end || p[1] == ' ' || p[1] == '\033')))
		p++;
	copy = xstrndup(path, (size_t)(p - path));
	if (ends_path(p, end) || style_short(s, copy) == copy)
		return false;
	*ret = (struct place){ .path_size = (size_t)(p - path), .size = (size_t)(p - path) };
	return true;
}

static bool find_place(const struct style *s, const char *path, const char *end, struct place *ret)
{
	bool blanks = may_have_blanks(s, path);
	const char *p = path + 1;
	size_t n = 0, m;

	*ret = (struct place){ .size = 0 };
	for (; !ends_path(p, end) && (*p != ' ' || blanks); p++) {
		n = number_after(p, end, ':', &ret->line);
		if (!n && (n = number_after(p, end, '(', &ret->line)) > 0)
			n += p + n < end && p[n] == ')';
		if (n)
			break;
	}
	if (!n)
		return find_file(s, path, end, ret);
	m = number_after(p + n, end, ':', &ret->column);
	ret->path_size = (size_t)(p - path);
	ret->size = ret->path_size + n + m;
	return true;
}

static void put_place(const struct style *s, struct buffer *b, const char *text, const struct place *p)
{
	_cleanup_free_ char *path = xstrndup(text, p->path_size);
	_cleanup_buffer_ struct buffer shown = BUFFER_NULL;
	const char *part = style_short(s, path);

	style_harmless(&shown, part, strlen(part));
	buffer_append(&shown, text + p->path_size, p->size - p->path_size);
	style_link(s, b, buffer_text(&shown), path, p->line, p->column);
}

/* ESC [ … m, and the ESC [ K that gcc writes after it. */
static bool is_color(const char *escape, size_t size)
{
	return size > 2 && escape[1] == '[' &&
	       (escape[size - 1] == 'm' || (escape[size - 1] == 'K' && size == 3));
}

static bool begins_path(const char *line, const char *at)
{
	return *at == '/' && (at == line || !(isalnum((unsigned char)at[-1]) || strchr("._-/~+", at[-1])));
}

/* What has neither a path nor an escape sequence in it, but at its start. */
static size_t plain_size(const char *p, const char *end)
{
	size_t n = 1;

	while (p + n < end && p[n] != '/' && p[n] != '\033')
		n++;
	return n;
}

static void put_line(const struct style *s, struct buffer *b, const char *line, const char *end, bool places)
{
	const char *word = line; /* where the last escape sequence ended */
	struct place place;
	size_t n;

	for (const char *p = line; p < end; p += n) {
		n = escape_size(p, (size_t)(end - p));
		if (n) {
			if (s->color && is_color(p, n))
				buffer_append(b, p, n);
			word = p + n;
		} else if (places && begins_path(word, p) && find_place(s, p, end, &place)) {
			put_place(s, b, p, &place);
			n = place.size;
		} else {
			n = plain_size(p, end);
			style_harmless(b, p, n);
		}
	}
	buffer_putc(b, '\n');
}

/* "   37 | int x = y;": the author's source. */
static bool is_quoted(const char *line)
{
	return *line == ' ' && line[strspn(line, " 0123456789")] == '|';
}

void compiler_text(const struct style *s, struct buffer *b, const char *text)
{
	while (text && *text) {
		const char *end = strchrnul(text, '\n');

		put_line(s, b, text, end > text && end[-1] == '\r' ? end - 1 : end, !is_quoted(text));
		text = *end ? end + 1 : end;
	}
}
