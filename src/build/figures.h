/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Figures
 *
 * What ptxas says of each kernel that it compiles (-v): the figures that decide how many of its
 * threads fit on a multiprocessor, and whether it works in registers or in memory.
 */

#include <stddef.h>

#include "build/build.h"

struct buffer;
struct names;

struct figures {
	struct kernel_figures *at;
	size_t n;
};

#define FIGURES_NULL { .at = NULL, .n = 0 }

/*
 * Take what @text says of kernels; append the rest of it to @rest. A kernel that @names (or NULL)
 * knows is called as the author does, and is known there to be one.
 */
void figures_read(struct figures *f, const char *text, struct names *names, struct buffer *rest);
void figures_fini(struct figures *f);
/* A copy of @n of them. */
void figures_copy(struct figures *to, const struct kernel_figures *from, size_t n);
