/* SPDX-License-Identifier: MIT */

/*
 * Who writes what:
 *
 *	gcc, clang   FILE:LINE:COLUMN: error: TEXT     FILE:LINE: …     cc1: error: TEXT
 *	as           FILE:LINE: Error: TEXT
 *	gold         FILE:LINE: error: TEXT     OBJECT:SOURCE:function F: error: TEXT
 *	             PROGRAM: error: FILE: TEXT
 *	ld           FILE:LINE: undefined reference to `F'     FILE:LINE:(SECTION+OFFSET): …
 *	             PROGRAM: cannot find -lNAME, and then   collect2: error: ld returned 1 exit status
 *	nvcc         FILE(LINE): error: TEXT    FILE(LINE): warning #177-D: TEXT
 *	ptxas        ptxas error   : TEXT
 *
 * So a message is looked for by its severity, and what stands before it is read as a place.
 */

#include "build/diagnostic.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/columns.h"
#include "base/memory.h"

void diagnostics_fini(struct diagnostics *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->at[i].file);
		free(d->at[i].severity);
		free(d->at[i].message);
	}
	free(d->at);
	*d = (struct diagnostics)DIAGNOSTICS_NULL;
}

static struct diagnostic *append(struct diagnostics *d)
{
	d->at = xrealloc(d->at, (d->n + 1) * sizeof(*d->at));
	d->at[d->n] = (struct diagnostic){ .file = NULL };
	return &d->at[d->n++];
}

void diagnostics_add(struct diagnostics *d, const char *file, const char *severity,
		     const char *message)
{
	struct diagnostic *one = append(d);

	one->file = file ? xstrdup(file) : NULL;
	one->severity = xstrdup(severity);
	one->message = xstrdup(message);
}

void text_plain(struct buffer *ret, const char *text, size_t size)
{
	while (size) {
		const char *escape = memchr(text, '\033', size);
		size_t n = escape ? (size_t)(escape - text) : size;

		buffer_append(ret, text, n);
		if (escape)
			n += escape_size(escape, size - n);
		text += n;
		size -= n;
	}
}

struct mark { /* a severity in a line: where it starts, where the message does */
	const char *severity, *start, *message;
};

/* nvcc puts a number and blanks between the word and the colon: "warning #177-D:". */
static const char *skip_number(const char *p, const char *end)
{
	while (p < end && *p == ' ')
		p++;
	if (p < end && *p == '#')
		while (p < end && (*p == '#' || *p == '-' || isalnum((unsigned char)*p)))
			p++;
	return p;
}

static bool is_mark(const char *s, const char *end, struct mark *ret)
{
	static const struct {
		const char *word, *severity;
	} words[] = {
		{ "error", "error" },       { "fatal error", "error" },
		{ "warning", "warning" },   { "internal compiler error", "error" },
		{ "note", "note" },         { "catastrophic error", "error" },
		{ "remark", "note" },       { "fatal", "error" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t n = strlen(words[i].word);
		const char *p = s + n;

		if ((size_t)(end - s) <= n || strncasecmp(s, words[i].word, n) != 0)
			continue;
		p = skip_number(p, end);
		if (p == end || *p != ':')
			continue;
		for (p++; p < end && *p == ' ';)
			p++;
		*ret = (struct mark){ words[i].severity, s, p };
		return true;
	}
	return false;
}

static bool find_mark(const char *line, const char *end, struct mark *ret)
{
	static const char *const sentences[] = { ": undefined reference to ", ": cannot find " };

	for (const char *s = line; s < end; s++)
		if ((s == line || s[-1] == ' ') && is_mark(s, end, ret))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(sentences); i++) {
		const char *found = memmem(line, (size_t)(end - line), sentences[i], strlen(sentences[i]));

		if (!found)
			continue;
		*ret = (struct mark){ "error", found + 2, found + 2 };
		return true;
	}
	return false;
}

/* ":(.text+0x1)", which newer ones of ld put behind the line. */
static void cut_section(char *place)
{
	char *section = strstr(place, ":(.");

	if (section && section[strlen(section) - 1] == ')')
		*section = '\0';
}

/* Cut ":123" or "(123)" off the end of @place. 0: there is none. */
static unsigned cut_number(char *place)
{
	size_t n = strlen(place), end;
	bool brackets = n && place[n - 1] == ')';

	if (brackets)
		n--;
	end = n;
	while (n && isdigit((unsigned char)place[n - 1]))
		n--;
	if (n == end || n < 2 || place[n - 1] != (brackets ? '(' : ':'))
		return 0;
	place[n - 1] = '\0';
	return (unsigned)strtoul(place + n, NULL, 10);
}

static bool is_program(const char *place)
{
	static const char *const names[] = { "cc1",   "cc1plus", "gcc",     "g++",     "cc",
					     "c++",   "clang",   "clang++", "ld",      "as",
					     "nvcc",  "ptxas",   "cicc",    "fatbinary", "collect2",
					     "nvlink", "ld.gold", "ld.bfd",  "clang-14", "cudafe++", "nvrtc" };
	const char *name = strrchr(place, '/');

	name = name ? name + 1 : place;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return strstr(name, "-linux-gnu-") || strncmp(name, "ld.", 3) == 0;
}

/* Read "FILE:LINE:COLUMN", "FILE(LINE)" or what else stands before a severity. */
static void set_place(struct diagnostic *d, char *place, const char *directory)
{
	unsigned last, before;

	cut_section(place);
	last = cut_number(place);
	before = last ? cut_number(place) : 0;

	d->line = before ? before : last;
	d->column = before ? last : 0;
	if (!*place || *place == '<' || *place == '{' || (!last && strchr(place, ' ')) ||
	    (!last && (strchr(place, ':') || is_program(place))))
		return;
	d->file = *place == '/' ? xstrdup(place) : xasprintf("%s/%s", directory, place);
}

/* Behind a program's name the place comes with the message. */
static void move_place(struct diagnostic *d)
{
	char *end = d->message[0] == '/' ? strstr(d->message, ": ") : NULL;

	if (d->file || !end)
		return;
	d->file = xstrndup(d->message, (size_t)(end - d->message));
	memmove(d->message, end + 2, strlen(end + 2) + 1);
}

/* It tells nothing that hasn't been said. */
static bool is_epilogue(const struct diagnostics *d, const struct mark *mark)
{
	return d->n && (strncmp(mark->message, "ld returned ", 12) == 0 || strncmp(mark->message, "Ptx assembly aborted", 20) == 0);
}

static bool is_same(const struct diagnostic *a, const struct diagnostic *b)
{
	return a->file && b->file && strcmp(a->file, b->file) == 0 && a->line == b->line && a->column == b->column &&
	       strcmp(a->message, b->message) == 0;
}

/* A function that is called twice in a line is missed by the linker twice. */
static void drop_repeated(struct diagnostics *d)
{
	struct diagnostic *last = &d->at[d->n - 1];

	if (d->n < 2 || !is_same(last - 1, last))
		return;
	free(last->file);
	free(last->severity);
	free(last->message);
	d->n--;
}

static void parse_line(struct diagnostics *d, const char *line, const char *end,
		       const char *directory)
{
	_cleanup_free_ char *place = NULL;
	struct diagnostic *one;
	struct mark mark;
	size_t n;

	if (!find_mark(line, end, &mark) || is_epilogue(d, &mark))
		return;
	n = (size_t)(mark.start - line);
	while (n && (line[n - 1] == ' ' || line[n - 1] == ':'))
		n--;
	place = xstrndup(line, n);
	one = append(d);
	one->severity = xstrdup(mark.severity);
	one->message = xstrndup(mark.message, (size_t)(end - mark.message));
	set_place(one, place, directory);
	if (is_program(place))
		move_place(one);
	drop_repeated(d);
}

void diagnostics_parse(struct diagnostics *d, const char *text, const char *directory)
{
	_cleanup_buffer_ struct buffer plain = BUFFER_NULL;

	text_plain(&plain, text, strlen(text));
	for (const char *line = buffer_text(&plain), *end; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		/* The quoted source of gcc is "   12 | …"; it may hold any word. */
		if (*line != ' ' && *line != '\t')
			parse_line(d, line, end > line && end[-1] == '\r' ? end - 1 : end, directory);
	}
}
