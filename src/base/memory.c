/* SPDX-License-Identifier: MIT */
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *check(void *p, size_t size)
{
	if (!p && size) {
		fprintf(stderr, "devserve: out of memory (%zu bytes)\n", size);
		abort();
	}
	return p;
}

void *xmalloc(size_t size)
{
	return check(malloc(size ? size : 1), 1);
}

void *xcalloc(size_t n, size_t size)
{
	return check(calloc(n ? n : 1, size ? size : 1), 1);
}

void *xrealloc(void *p, size_t size)
{
	return check(realloc(p, size ? size : 1), 1);
}

char *xstrdup(const char *s)
{
	return check(strdup(s), 1);
}

char *xstrndup(const char *s, size_t n)
{
	return check(strndup(s, n), 1);
}

char *xasprintf(const char *format, ...)
{
	va_list args;
	char *s;

	va_start(args, format);
	if (vasprintf(&s, format, args) < 0)
		s = NULL;
	va_end(args);
	return check(s, 1);
}

void free_pointer(void *p)
{
	free(*(void **)p);
}
