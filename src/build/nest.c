/* SPDX-License-Identifier: MIT */

/*
 * No parser: brackets, strings, comments, and the words that a statement may follow. Macros aren't
 * expanded and directives are skipped, so that a bracket in one of two branches of an #if leaves
 * the others without a mate. Then nothing is said of the text.
 */

#include "build/nest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define MAX_DEPTH 200
#define MAX_SPANS 4096

struct cursor {
	const char *at, *end;
	unsigned line, column, depth;
	bool lost; /* it can't be followed */
	struct nest *nest;
};

static char peek(const struct cursor *c, size_t ahead)
{
	return (size_t)(c->end - c->at) > ahead ? c->at[ahead] : '\0';
}

static void step(struct cursor *c)
{
	if (c->at == c->end)
		return;
	c->column++;
	if (*c->at++ == '\n') {
		c->line++;
		c->column = 1;
	}
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static void skip_line(struct cursor *c)
{
	while (c->at < c->end && *c->at != '\n') {
		if (*c->at == '\\')
			step(c);
		step(c);
	}
}

static void skip_comment(struct cursor *c)
{
	step(c);
	step(c);
	while (c->at < c->end && !(*c->at == '*' && peek(c, 1) == '/'))
		step(c);
	step(c);
	step(c);
}

static void skip_space(struct cursor *c)
{
	while (c->at < c->end) {
		if (isspace((unsigned char)*c->at))
			step(c);
		else if (*c->at == '/' && peek(c, 1) == '*')
			skip_comment(c);
		else if (*c->at == '#' || (*c->at == '/' && peek(c, 1) == '/'))
			skip_line(c);
		else
			return;
	}
}

static void skip_string(struct cursor *c)
{
	char quote = *c->at;

	step(c);
	while (c->at < c->end && *c->at != quote) {
		if (*c->at == '\\')
			step(c);
		step(c);
	}
	step(c);
}

static void skip_word(struct cursor *c)
{
	while (is_word(peek(c, 0)) || (peek(c, 0) == '\'' && is_word(peek(c, 1)))) /* 1'000 */
		step(c);
}

static bool take_word(struct cursor *c, const char *word)
{
	size_t size = strlen(word);

	skip_space(c);
	if ((size_t)(c->end - c->at) < size || memcmp(c->at, word, size) != 0 || is_word(peek(c, size)))
		return false;
	while (size--)
		step(c);
	return true;
}

static void block(struct cursor *c);

/* From an opening bracket to behind its mate; what is in braces between them are statements. */
static void group(struct cursor *c)
{
	char mate = *c->at == '(' ? ')' : ']';

	c->lost |= ++c->depth > MAX_DEPTH;
	step(c);
	for (skip_space(c); !c->lost && peek(c, 0) != mate; skip_space(c)) {
		char at = peek(c, 0);

		if (at == '(' || at == '[')
			group(c);
		else if (at == '{')
			block(c);
		else if (at == '"' || at == '\'')
			skip_string(c);
		else if (is_word(at))
			skip_word(c);
		else if (!at || at == ')' || at == ']' || at == '}')
			c->lost = true;
		else
			step(c);
	}
	step(c);
	c->depth--;
}

static void condition(struct cursor *c)
{
	skip_space(c);
	if (peek(c, 0) == '(')
		group(c);
}

/* Up to a semicolon, or behind braces: what follows them is a statement to us. */
static void expression(struct cursor *c)
{
	for (skip_space(c); !c->lost; skip_space(c)) {
		char at = peek(c, 0);

		if (at == '(' || at == '[')
			group(c);
		else if (at == '"' || at == '\'')
			skip_string(c);
		else if (is_word(at))
			skip_word(c);
		else if (at == ')' || at == ']')
			c->lost = true;
		else if (at == '{') {
			block(c);
			return;
		} else if (!at || at == '}')
			return;
		else {
			step(c);
			if (at == ';')
				return;
		}
	}
}

static void statement(struct cursor *c);

/* @head: where its word is. */
static void loop(struct cursor *c, const struct cursor *head, bool is_do)
{
	size_t i = c->nest->n;

	if (i == MAX_SPANS) {
		c->lost = true;
		return;
	}
	c->nest->spans = xrealloc(c->nest->spans, (i + 1) * sizeof(*c->nest->spans));
	c->nest->spans[i] = (struct span){ .line = head->line, .column = head->column };
	c->nest->n++;
	condition(c);
	statement(c);
	if (is_do && take_word(c, "while"))
		condition(c);
	c->nest->spans[i].last_line = c->line;
	c->nest->spans[i].last_column = c->column;
}

static void statement(struct cursor *c)
{
	struct cursor head;

	skip_space(c);
	head = *c;
	c->lost |= ++c->depth > MAX_DEPTH;
	if (c->lost)
		return;
	if (peek(c, 0) == '{')
		block(c);
	else if (take_word(c, "for") || take_word(c, "while")) {
		skip_space(c);
		peek(c, 0) == '(' ? loop(c, &head, false) : expression(c);
	}
	else if (take_word(c, "do"))
		loop(c, &head, true);
	else if (take_word(c, "if") || take_word(c, "switch")) {
		take_word(c, "constexpr");
		condition(c);
		statement(c);
		if (take_word(c, "else"))
			statement(c);
	} else
		expression(c);
	c->depth--;
}

static void block(struct cursor *c)
{
	c->lost |= ++c->depth > MAX_DEPTH;
	step(c);
	for (skip_space(c); !c->lost && peek(c, 0) != '}'; skip_space(c)) {
		if (c->at == c->end)
			c->lost = true;
		else
			statement(c);
	}
	step(c);
	c->depth--;
}

void nest_read(struct nest *ret, const char *text, size_t size)
{
	struct nest n = NEST_NULL;
	struct cursor c = { .at = text, .end = text + size, .line = 1, .column = 1, .nest = &n };

	for (skip_space(&c); !c.lost && c.at < c.end; skip_space(&c)) {
		if (*c.at == '}' || !*c.at)
			c.lost = true;
		else
			statement(&c);
	}
	if (c.lost)
		nest_fini(&n);
	*ret = n;
}

void nest_fini(struct nest *n)
{
	free(n->spans);
	*n = (struct nest)NEST_NULL;
}

static bool is_before(unsigned line, unsigned column, unsigned other_line, unsigned other_column)
{
	return line < other_line || (line == other_line && column < other_column);
}

const struct span *nest_find(const struct nest *n, unsigned line, unsigned column)
{
	const struct span *found = NULL;

	for (size_t i = 0; i < n->n; i++) {
		const struct span *s = &n->spans[i];

		if (!is_before(line, column, s->line, s->column) &&
		    is_before(line, column, s->last_line, s->last_column))
			found = s;
	}
	return found;
}
