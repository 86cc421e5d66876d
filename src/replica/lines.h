/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Lines
 *
 * What a worker writes to stdout and stderr, cut into lines. One that begins with \001 and a
 * digit has that level (enum devserve_level); the others are INFO.
 */

#include <stddef.h>

#include "base/buffer.h"

#define LINES_MAX 1024 /* bytes; what is longer is cut */

struct lines {
	struct buffer unfinished[2]; /* of stdout, of stderr */
};

typedef void (*line_fn)(void *context, int level, const char *text, size_t size);

/* @text came on @fd (1 or 2); @size 0: no more will. */
void lines_take(struct lines *l, int fd, const char *text, size_t size, line_fn fn, void *context);
void lines_fini(struct lines *l);
