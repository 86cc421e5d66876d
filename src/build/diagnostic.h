/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Diagnostic
 *
 * The text of compilers, assemblers and linkers as data. Lines that are no message (the
 * quoted source, "In function …") are passed over.
 */

#include <stddef.h>

#include "build/build.h"

struct diagnostics {
	struct diagnostic *at;
	size_t n;
};

#define DIAGNOSTICS_NULL { .at = NULL }

void diagnostics_fini(struct diagnostics *d);

/* Add the messages in @text. Relative file names are relative to @directory. */
void diagnostics_parse(struct diagnostics *d, const char *text, const char *directory);

/* Add one of our own. @file may be NULL. */
void diagnostics_add(struct diagnostics *d, const char *file, const char *severity,
		     const char *message);

/* Append @text to @ret without terminal escapes (colours, links). */
void text_plain(struct buffer *ret, const char *text, size_t size);
