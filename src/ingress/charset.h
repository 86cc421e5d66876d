/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Character sets of HTTP
 *
 * What RFC 9110 and 9112 let stand where.
 */

#include <stdbool.h>
#include <stddef.h>

enum {
	CHARSET_TOKEN = 1,  /* tchar: methods, names of fields and of chunk extensions */
	CHARSET_VALUE = 2,  /* in a field's value: visible, space, tab, obs-text */
	CHARSET_TARGET = 4, /* in a request target: visible, but no '#' */
};

extern const unsigned char charset[256];

static inline bool charset_has(unsigned char set, char c)
{
	return charset[(unsigned char)c] & set;
}

/* How many of the first of @size bytes at @s are in @set. */
static inline size_t charset_run(unsigned char set, const char *s, size_t size)
{
	size_t i = 0;

	while (i < size && charset_has(set, s[i]))
		i++;
	return i;
}
