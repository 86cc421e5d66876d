/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Names
 *
 * Kernels that are asked for by an expression of C++, `scale<float, 4>`. Of each a line is
 * printed to stderr, before what the compiler says:
 *
 *	devserve-kernel	SYMBOL	EXPRESSION        the source knows it: its name in the cubin
 *	devserve-kernel		EXPRESSION	REASON    the source does not know it
 */

#include <stddef.h>

struct name {
	const char *expression;
	char *reason; /* NULL: the source may know it */
};

struct names {
	struct name *at;
	size_t n;
};

/* Take them out of @options; how many options are left. */
size_t names_take(struct names *n, const char **options, size_t n_options);

/* Give a reason to those that the compiler complains of in @log; how many there are. */
size_t names_drop_unknown(struct names *n, const char *log);

/* @symbol: NULL where it isn't known. */
void names_tell(const struct name *name, const char *symbol);
