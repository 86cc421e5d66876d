/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Names
 *
 * The kernels that deployment.yaml names by an expression of C++, `scale<float, 4>`: what each is
 * called in the cubins, as the compiler (nvrtc/compile.h) says of every source. A source knows
 * some of them; each must be known by one.
 */

#include <stdbool.h>
#include <stddef.h>

struct buffer;
struct recipe;

/* Before each of them in what NVRTC's process is told. */
#define NAME_OPTION "--devserve-kernel="

struct name {
	const char *expression; /* the recipe's */
	unsigned line;          /* of deployment.yaml */
	bool known, is_kernel;
	char *reason;           /* why a source doesn't know it, NULL */
};

struct symbol { /* in some cubin */
	char *text;
	struct name *name;
};

struct names {
	struct name *at;
	size_t n;
	struct symbol *symbols;
	size_t n_symbols;
};

/* @r: borrowed; outlives it. */
void names_init(struct names *n, const struct recipe *r);
void names_fini(struct names *n);

/* Take what @text says of them; append the rest of it to @rest. */
void names_read(struct names *n, const char *text, struct buffer *rest);

/* The kernel @symbol was compiled: its expression; NULL: it isn't one of them. */
const char *names_found_kernel(struct names *n, const char *symbol);

/* Append what tells symbols from expressions (cuda/code.h); nothing if there are none. */
void names_put(const struct names *n, struct buffer *ret);
