/* SPDX-License-Identifier: MIT */

/*
 * Framing that two readers may understand differently is refused: bare line feeds, spaces
 * around the size, extensions and trailer fields that aren't what RFC 9112 lets them be.
 * Those that are legal are read over and counted: nothing here wants them, and a trailer
 * that says Content-Length or Host changes nothing. The Debian build of http_parser lets
 * all of that pass (it is built without its strict checks), which is why it isn't asked.
 */

#include "ingress/chunk.h"

#include "ingress/charset.h"

enum {
	SIZE_FIRST, /* a hex digit must come */
	SIZE,
	NAME_FIRST, /* of an extension, after ';' */
	NAME,
	NAME_SPACE,
	WORD_FIRST, /* its value, after '=' */
	WORD,
	WORD_SPACE,
	QUOTED,
	QUOTED_PAIR,
	QUOTED_END,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER_FIRST, /* a field's name, or the empty line that ends all */
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	END_LF,
};

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int go(struct chunk *c, int state)
{
	c->state = state;
	return CHUNK_MORE;
}

/* Exactly @wanted, then on to @state. */
static int step_fixed(struct chunk *c, char b, char wanted, int state)
{
	return b == wanted ? go(c, state) : CHUNK_BAD;
}

static int step_size(struct chunk *c, char b)
{
	int digit = hex(b);

	if (digit >= 0) {
		if (++c->digits > CHUNK_MAX_DIGITS || c->left >> 58)
			return CHUNK_BAD;
		c->left = c->left << 4 | (uint64_t)digit;
		return go(c, SIZE);
	}
	if (c->state == SIZE_FIRST || (b != ';' && b != '\r'))
		return CHUNK_BAD;
	return go(c, b == ';' ? NAME_FIRST : SIZE_LF);
}

/* What may follow a name or a value: white space only where something else follows. */
static int step_next(struct chunk *c, char b, int space)
{
	if (b == ' ' || b == '\t')
		return go(c, space);
	if (b == '=' && space == NAME_SPACE)
		return go(c, WORD_FIRST);
	if (b == ';')
		return go(c, NAME_FIRST);
	return b == '\r' && c->state != space ? go(c, SIZE_LF) : CHUNK_BAD;
}

static int step_first(struct chunk *c, char b, int state)
{
	if (b == ' ' || b == '\t')
		return CHUNK_MORE;
	if (b == '"' && state == WORD)
		return go(c, QUOTED);
	return charset_has(CHARSET_TOKEN, b) ? go(c, state) : CHUNK_BAD;
}

static int step_quoted(struct chunk *c, char b)
{
	if (!charset_has(CHARSET_VALUE, b))
		return CHUNK_BAD;
	if (c->state == QUOTED_PAIR)
		return go(c, QUOTED);
	return go(c, b == '"' ? QUOTED_END : b == '\\' ? QUOTED_PAIR : QUOTED);
}

static int step_extension(struct chunk *c, char b)
{
	switch (c->state) {
	case NAME_FIRST:
		return step_first(c, b, NAME);
	case WORD_FIRST:
		return step_first(c, b, WORD);
	case QUOTED:
	case QUOTED_PAIR:
		return step_quoted(c, b);
	case NAME:
	case WORD:
		if (charset_has(CHARSET_TOKEN, b))
			return CHUNK_MORE;
		/* fallthrough */
	default:
		return step_next(c, b, c->state <= NAME_SPACE ? NAME_SPACE : WORD_SPACE);
	}
}

static int step_size_end(struct chunk *c, char b)
{
	if (b != '\n')
		return CHUNK_BAD;
	if (++c->n > CHUNK_MAX)
		return CHUNK_LIMIT;
	c->digits = 0;
	return go(c, c->left ? DATA : TRAILER_FIRST);
}

static int step_trailer(struct chunk *c, char b)
{
	switch (c->state) {
	case TRAILER_FIRST:
		if (b == '\r')
			return go(c, END_LF);
		return charset_has(CHARSET_TOKEN, b) ? go(c, TRAILER_NAME) : CHUNK_BAD;
	case TRAILER_NAME:
		if (b == ':')
			return go(c, TRAILER_VALUE);
		return charset_has(CHARSET_TOKEN, b) ? CHUNK_MORE : CHUNK_BAD;
	default:
		if (b == '\r')
			return go(c, TRAILER_LF);
		return charset_has(CHARSET_VALUE, b) ? CHUNK_MORE : CHUNK_BAD;
	}
}

static int step_extra(struct chunk *c, char b)
{
	if (++c->extra > CHUNK_MAX_EXTRA)
		return CHUNK_LIMIT;
	return c->state < SIZE_LF ? step_extension(c, b) : step_trailer(c, b);
}

static int step(struct chunk *c, char b)
{
	switch (c->state) {
	case SIZE_FIRST:
	case SIZE:
		return step_size(c, b);
	case SIZE_LF:
		return step_size_end(c, b);
	case DATA_CR:
		return step_fixed(c, b, '\r', DATA_LF);
	case DATA_LF:
		return step_fixed(c, b, '\n', SIZE_FIRST);
	case TRAILER_LF:
		return step_fixed(c, b, '\n', TRAILER_FIRST);
	case END_LF:
		return b == '\n' ? CHUNK_END : CHUNK_BAD;
	default:
		return step_extra(c, b);
	}
}

static int take_data(struct chunk *c, size_t at, size_t size, size_t *ret_used, size_t *ret_size)
{
	size_t n = size - at;

	if (n > c->left)
		n = (size_t)c->left;
	c->left -= n;
	if (!c->left)
		c->state = DATA_CR;
	*ret_used = at + n;
	*ret_size = n;
	return CHUNK_DATA;
}

int chunk_decode(struct chunk *c, const char *bytes, size_t size, size_t *ret_used,
		 size_t *ret_size)
{
	for (size_t at = 0; at < size; at++) {
		int r;

		if (c->state == DATA)
			return take_data(c, at, size, ret_used, ret_size);
		r = step(c, bytes[at]);
		if (r != CHUNK_MORE) {
			*ret_used = at + 1;
			return r;
		}
	}
	*ret_used = size;
	return CHUNK_MORE;
}

void chunk_unread(struct chunk *c, size_t n)
{
	if (!n)
		return;
	c->left += n;
	c->state = DATA;
}
