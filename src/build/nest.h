/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Nest
 *
 * Where the loops of a C or C++ text begin and end, and so which is inside which.
 */

#include <stddef.h>

struct span {
	unsigned line, column;           /* of its `for`, `while` or `do`; from 1, columns in bytes */
	unsigned last_line, last_column; /* behind its end */
};

struct nest {
	struct span *spans; /* by place: the one around another is before it */
	size_t n;
};

#define NEST_NULL { .spans = NULL }

/* A text whose brackets don't pair has no loops: nothing is known of it. */
void nest_read(struct nest *ret, const char *text, size_t size);
void nest_fini(struct nest *n);

/* The innermost loop around that place; NULL: there is none. */
const struct span *nest_find(const struct nest *n, unsigned line, unsigned column);
