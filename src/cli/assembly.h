/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Assembly
 *
 * Its functions as objdump disassembles them, without what differs only because something moved:
 * addresses, distances of jumps, places of data. So two functions that do the same in the same way
 * have the same text. A number that an instruction reads from .rodata stands beside it, for it is part
 * of what is done.
 */

#include <stddef.h>

#include "cli/constants.h"

struct buffer;

struct assembly_function {
	char *name;
	char *text;      /* a line for each instruction */
	size_t n;        /* instructions */
};

struct assembly {
	struct assembly_function *functions; /* in order of names */
	size_t n;
	struct constants constants;
};

#define ASSEMBLY_NULL { .functions = NULL }

/* 0; or the status to exit with and a sentence. */
int assembly_read(const char *image, struct assembly *ret, struct buffer *why);
void assembly_fini(struct assembly *c);

/* NULL: there is none of that name. */
const struct assembly_function *assembly_find(const struct assembly *c, const char *name);
