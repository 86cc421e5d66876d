/* SPDX-License-Identifier: MIT */

/*
 * The grammar of RFC 8259, written down to find a place and the words for it; nobody waits for
 * its speed.
 */

#include "infer/json_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "infer/json_parse.h"
#include "infer/room.h"

struct scan {
	const char *text;
	size_t size, at;
	const char *what;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* '\0' behind the end, which is no character of JSON. */
static char peek(const struct scan *s)
{
	return s->at < s->size ? s->text[s->at] : '\0';
}

static bool fail(struct scan *s, const char *what)
{
	s->what = what;
	return false;
}

static bool skip(struct scan *s, char c)
{
	if (peek(s) != c || s->at == s->size)
		return false;
	s->at++;
	return true;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void skip_space(struct scan *s)
{
	while (s->at < s->size && is_space(s->text[s->at]))
		s->at++;
}

/* Strings */

/* Four hexadecimal digits, or -1. */
static int scan_hex(struct scan *s)
{
	static const char digits[] = "0123456789abcdef";
	int v = 0;

	for (int i = 0; i < 4; i++, s->at++) {
		char c = peek(s);
		const char *digit = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

		if (!digit)
			return -1;
		v = v * 16 + (int)(digit - digits);
	}
	return v;
}

/* Behind "\u". */
static bool scan_unicode(struct scan *s)
{
	static const char half[] = "half of a surrogate pair is no character";
	int first = scan_hex(s), second;

	if (first < 0)
		return fail(s, "four hexadecimal digits must follow \\u");
	if (first < 0xd800 || first > 0xdfff)
		return true;
	if (first > 0xdbff || !skip(s, '\\') || !skip(s, 'u'))
		return fail(s, half);
	second = scan_hex(s);
	return (second >= 0xdc00 && second <= 0xdfff) || fail(s, half);
}

static bool scan_escape(struct scan *s)
{
	char c = peek(s);

	if (!c || !strchr("\"\\/bfnrtu", c))
		return fail(s, "there is no such escape in a string");
	s->at++;
	return c != 'u' || scan_unicode(s);
}

static bool scan_character(struct scan *s)
{
	size_t n = json_utf8_length(s->text + s->at, s->size - s->at);

	if ((unsigned char)s->text[s->at] < 0x20)
		return fail(s, "a control character in a string must be escaped");
	if (!n)
		return fail(s, "the text is not UTF-8");
	s->at += n;
	return true;
}

/* Behind the quote. */
static bool scan_string(struct scan *s)
{
	while (s->at < s->size) {
		if (skip(s, '"'))
			return true;
		if (skip(s, '\\') ? !scan_escape(s) : !scan_character(s))
			return false;
	}
	return fail(s, "the text ends within a string");
}

/* Numbers and names */

static bool scan_digits(struct scan *s)
{
	if (!is_digit(peek(s)))
		return fail(s, "a digit is missing in a number");
	while (is_digit(peek(s)))
		s->at++;
	return true;
}

/* @exponent: how many of the digits are its; most numbers are none by their length alone. */
static bool is_beyond_double(const char *number, size_t size, size_t exponent)
{
	char *copy;
	bool beyond;

	if (size <= 200 && exponent < 3)
		return false;
	copy = xstrndup(number, size);
	beyond = isinf(strtod(copy, NULL));
	free(copy);
	return beyond;
}

static bool scan_exponent(struct scan *s, size_t *ret_digits)
{
	size_t start;

	if (!skip(s, 'e') && !skip(s, 'E'))
		return true;
	if (!skip(s, '+'))
		skip(s, '-');
	start = s->at;
	if (!scan_digits(s))
		return false;
	*ret_digits = s->at - start;
	return true;
}

static bool scan_number(struct scan *s)
{
	size_t start = s->at, exponent = 0;

	skip(s, '-');
	if (peek(s) == 'I')
		return fail(s, "JSON has no NaN and no Infinity");
	if (skip(s, '0')) {
		if (is_digit(peek(s)))
			return fail(s, "a number may not begin with a zero");
	} else if (!scan_digits(s)) {
		return false;
	}
	if (skip(s, '.') && !scan_digits(s))
		return false;
	if (!scan_exponent(s, &exponent))
		return false;
	if (!is_beyond_double(s->text + start, s->at - start, exponent))
		return true;
	s->at = start;
	return fail(s, "a number is larger than any FP64");
}

static bool scan_name(struct scan *s)
{
	static const char *const names[] = { "true", "false", "null" };

	for (size_t i = 0; i < 3; i++) {
		size_t size = strlen(names[i]);

		if (s->size - s->at >= size && memcmp(s->text + s->at, names[i], size) == 0) {
			s->at += size;
			return true;
		}
	}
	switch (peek(s)) {
	case 'N':
	case 'I':
		return fail(s, "JSON has no NaN and no Infinity");
	case '\'':
		return fail(s, "strings are written with double quotes");
	default:
		return fail(s, s->at == s->size ? "the text ends where a value was expected" :
						  "a value was expected");
	}
}

/* Values */

static bool scan_value(struct scan *s, unsigned depth);

/* Behind a value: on to the next, or the end of the container. */
static bool scan_more(struct scan *s, char end, bool *ret_more)
{
	skip_space(s);
	*ret_more = skip(s, ',');
	if (*ret_more || skip(s, end))
		return true;
	return fail(s, s->at == s->size ? "the text ends before a bracket is closed" :
			end == '}'      ? "a comma or '}' was expected" :
					  "a comma or ']' was expected");
}

static bool scan_member(struct scan *s, unsigned depth)
{
	skip_space(s);
	if (!skip(s, '"'))
		return fail(s, "a key in double quotes was expected");
	if (!scan_string(s))
		return false;
	skip_space(s);
	return skip(s, ':') ? scan_value(s, depth) : fail(s, "a colon was expected");
}

static bool scan_container(struct scan *s, char end, unsigned depth)
{
	bool more = true;

	if (depth > JSON_MAX_DEPTH)
		return fail(s, "it is nested too deeply");
	skip_space(s);
	if (skip(s, end))
		return true;
	while (more)
		if ((end == '}' ? !scan_member(s, depth) : !scan_value(s, depth)) ||
		    !scan_more(s, end, &more))
			return false;
	return true;
}

static bool scan_value(struct scan *s, unsigned depth)
{
	skip_space(s);
	if (skip(s, '{'))
		return scan_container(s, '}', depth + 1);
	if (skip(s, '['))
		return scan_container(s, ']', depth + 1);
	if (skip(s, '"'))
		return scan_string(s);
	return peek(s) == '-' || is_digit(peek(s)) ? scan_number(s) : scan_name(s);
}

static void tell_place(const char *text, size_t at, struct json_mistake *ret)
{
	const char *line = text, *end;

	while ((end = memchr(line, '\n', at - (size_t)(line - text)))) {
		line = end + 1;
		ret->line++;
	}
	ret->column = at - (size_t)(line - text) + 1;
}

void json_find_mistake(const char *text, size_t size, struct json_mistake *ret)
{
	struct scan s = { .text = text, .size = size };

	*ret = (struct json_mistake){ .line = 1, .column = 1 };
	if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		ret->what = "it begins with a byte order mark";
		return;
	}
	if (scan_value(&s, 0)) {
		skip_space(&s);
		if (s.at < size)
			fail(&s, "something follows the JSON");
	}
	ret->what = s.what;
	tell_place(text, s.at, ret);
}

/* Spelling */

#define MIN_LONG 19 /* digits of an integer of more than 64 bits, at least */

static void append(struct buffer *b, const char *text, size_t size)
{
	memcpy(b->data + b->size, text, size);
	b->size += size;
}

static bool is_long(const char *number, size_t size)
{
	bool negative = *number == '-';
	const char *last = negative ? "9223372036854775808" : "18446744073709551615";
	size_t n = size - negative;

	number += negative;
	for (size_t i = 0; i < n; i++)
		if (!is_digit(number[i]))
			return false;
	return n > strlen(last) || (n == strlen(last) && memcmp(number, last, n) > 0);
}

/* The end of the string, number or other character at @at. */
static size_t token_end(const char *text, size_t size, size_t at)
{
	size_t n = at;

	if (text[at] == '"') {
		for (n++; n < size && text[n] != '"'; n++)
			n += text[n] == '\\';
		return n < size ? n + 1 : size;
	}
	while (n < size && (is_digit(text[n]) || memchr("+-.eE", text[n], 5)))
		n++;
	return n > at ? n : at + 1;
}

/* There is room: a long integer gets two bytes. */
bool json_respell(const char *text, size_t size, struct buffer *ret)
{
	bool any = false;
	size_t end;

	if (!room_for(ret, size + size / MIN_LONG * 2 + JSON_PADDING))
		return false;
	for (size_t at = 0; at < size; at = end) {
		end = token_end(text, size, at);
		append(ret, text + at, end - at);
		if (!is_long(text + at, end - at))
			continue;
		append(ret, ".0", 2);
		any = true;
	}
	return any;
}
