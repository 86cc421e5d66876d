/* SPDX-License-Identifier: MIT */

/*
 * make has no grammar for odd names that all compilers agree on. What gcc and clang write:
 * `\ ` is a space, and the backslashes right before it are doubled; `\#` is `#`; `$$` is
 * `$`; `\:` is `:` (gcc 10 and later); a backslash at the end of a line joins it to the
 * next. Every other backslash is itself.
 */

#include "build/depfile.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/buffer.h"
#include "build/words.h"

struct cursor {
	const char *at, *end;
};

static char peek(const struct cursor *c, size_t ahead)
{
	return (size_t)(c->end - c->at) > ahead ? c->at[ahead] : '\0';
}

/* The length of a line break at @ahead, 0 where there is none. */
static size_t line_break(const struct cursor *c, size_t ahead)
{
	if (peek(c, ahead) == '\n')
		return 1;
	return peek(c, ahead) == '\r' && peek(c, ahead + 1) == '\n' ? 2 : 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void skip_blanks(struct cursor *c)
{
	for (size_t n = 1; c->at < c->end && n;) {
		n = is_blank(*c->at) ? 1 : 0;
		if (*c->at == '\\' && line_break(c, 1))
			n = 1 + line_break(c, 1);
		c->at += n;
	}
}

/* At a backslash: what a run of them means depends on what comes after it. */
static bool take_backslashes(struct cursor *c, struct buffer *word)
{
	size_t n = 0;
	char after;

	while (peek(c, n) == '\\')
		n++;
	after = peek(c, n);
	if (n == 1 && line_break(c, 1))
		return false;
	c->at += n;
	if (is_blank(after) || after == '#' || after == ':') {
		bool escaped = n % 2;

		n = after == ':' || after == '#' ? n - 1 : n / 2;
		if (escaped) {
			c->at++;
		} else if (is_blank(after)) {
			after = '\0';
		} else {
			c->at++; /* a run before these is not doubled: the last one escapes */
		}
	} else {
		after = '\0';
	}
	while (n--)
		buffer_putc(word, '\\');
	if (after)
		buffer_putc(word, after);
	return true;
}

/* Whether a colon here ends the target: blank, end of line or end of text behind it. */
static bool ends_target(const struct cursor *c)
{
	return *c->at == ':' && (is_blank(peek(c, 1)) || line_break(c, 1) || c->at + 1 == c->end ||
				 peek(c, 1) == '\\');
}

static void take_word(struct cursor *c, struct buffer *word, bool target)
{
	while (c->at < c->end && !is_blank(*c->at) && !line_break(c, 0)) {
		if (target && ends_target(c))
			return;
		if (*c->at == '\\') {
			if (!take_backslashes(c, word))
				return;
			continue;
		}
		if (*c->at == '$' && peek(c, 1) == '$')
			c->at++;
		buffer_putc(word, *c->at++);
	}
}

static bool parse_rule(struct cursor *c, struct words *ret)
{
	_cleanup_buffer_ struct buffer word = BUFFER_NULL;
	bool target = true;

	for (;;) {
		skip_blanks(c);
		if (c->at == c->end || line_break(c, 0))
			return !target;
		if (target && ends_target(c)) {
			c->at++;
			target = false;
			continue;
		}
		buffer_reset(&word);
		take_word(c, &word, target);
		if (!target && word.size)
			words_add(ret, buffer_text(&word));
	}
}

int depfile_parse(const char *text, size_t size, struct words *ret)
{
	struct cursor c = { text, text + size };
	bool any = false;

	while (c.at < c.end) {
		size_t n = line_break(&c, 0);

		if (n) {
			c.at += n;
			continue;
		}
		if (memchr(c.at, '\0', (size_t)(c.end - c.at)) || !parse_rule(&c, ret))
			return -EBADMSG;
		any = true;
	}
	return any ? 0 : -EBADMSG;
}
