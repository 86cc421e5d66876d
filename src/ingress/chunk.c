/* SPDX-License-Identifier: MIT */

/*
 * Framing that two readers may understand differently is refused: bare line feeds, a
 * space after the size, a ';' with nothing behind it, control bytes. Legal extensions and
 * trailer fields are read over and counted. The Debian build of http_parser lets all of
 * that pass (it is built without its strict checks), which is why it isn't asked.
 */

#include "ingress/chunk.h"

#include <string.h>

enum {
	SIZE_FIRST, /* a hex digit must come */
	SIZE,
	EXTENSION_FIRST, /* after ';' */
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER_FIRST, /* start of a trailer line, or the empty line that ends all */
	TRAILER,
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

static int is_text(char c)
{
	return c == '\t' || ((unsigned char)c >= ' ' && c != 0x7f);
}

static int step_size(struct chunk *c, char b)
{
	int digit = hex(b);

	if (digit >= 0) {
		if (c->left >> 58)
			return CHUNK_BAD;
		c->left = c->left << 4 | (uint64_t)digit;
		c->state = SIZE;
		return CHUNK_MORE;
	}
	if (c->state == SIZE_FIRST || (b != ';' && b != '\r'))
		return CHUNK_BAD;
	c->state = b == ';' ? EXTENSION_FIRST : SIZE_LF;
	return CHUNK_MORE;
}

static int step_extension(struct chunk *c, char b)
{
	if (b == '\r' && c->state == EXTENSION)
		c->state = SIZE_LF;
	else if (!is_text(b) || (c->state == EXTENSION_FIRST && (b == ';' || b == '=')))
		return CHUNK_BAD;
	else if (b != ' ' && b != '\t')
		c->state = b == ';' ? EXTENSION_FIRST : EXTENSION;
	return CHUNK_MORE;
}

static int step_size_end(struct chunk *c, char b)
{
	if (b != '\n' || ++c->n > CHUNK_MAX)
		return CHUNK_BAD;
	c->line = 0;
	c->state = c->left ? DATA : TRAILER_FIRST;
	return CHUNK_MORE;
}

static int step_trailer(struct chunk *c, char b)
{
	if (c->line > CHUNK_MAX_TRAILER)
		return CHUNK_BAD;
	if (c->state == TRAILER_FIRST && (b == ' ' || b == '\t' || b == ':'))
		return CHUNK_BAD;
	if (b == '\r')
		c->state = c->state == TRAILER_FIRST ? END_LF : TRAILER_LF;
	else if (is_text(b))
		c->state = TRAILER;
	else
		return CHUNK_BAD;
	return CHUNK_MORE;
}

/* Exactly @b, then on to @state. */
static int step_fixed(struct chunk *c, char b, char wanted, int state)
{
	c->state = state;
	return b == wanted ? CHUNK_MORE : CHUNK_BAD;
}

static int step(struct chunk *c, char b)
{
	c->line++;
	switch (c->state) {
	case SIZE_FIRST:
	case SIZE:
		return c->line > CHUNK_MAX_LINE ? CHUNK_BAD : step_size(c, b);
	case EXTENSION_FIRST:
	case EXTENSION:
		return c->line > CHUNK_MAX_LINE ? CHUNK_BAD : step_extension(c, b);
	case SIZE_LF:
		return step_size_end(c, b);
	case DATA_CR:
		return step_fixed(c, b, '\r', DATA_LF);
	case DATA_LF:
		c->line = 0;
		return step_fixed(c, b, '\n', SIZE_FIRST);
	case TRAILER_LF:
		return step_fixed(c, b, '\n', TRAILER_FIRST);
	case END_LF:
		return b == '\n' ? CHUNK_END : CHUNK_BAD;
	default:
		return step_trailer(c, b);
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
