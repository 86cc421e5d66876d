/* SPDX-License-Identifier: MIT */
#include "cuda/expression.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/memory.h"

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

char *expression_tidy(const char *text)
{
	char *ret = xcalloc(strlen(text) + 1, 1), *to = ret;

	for (const char *s = text; *s; s++) {
		if (!isspace((unsigned char)*s)) {
			*to++ = *s;
			continue;
		}
		while (isspace((unsigned char)s[1]))
			s++;
		if (to > ret && is_word(to[-1]) && is_word(s[1]))
			*to++ = ' ';
	}
	return ret;
}
