/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Columns
 *
 * UTF-8 text with escape sequences, as wide as a terminal shows it.
 */

#include <stddef.h>

struct buffer;

/* Bytes of the escape sequence that starts at @s, all of the rest if it doesn't end; 0: none starts. */
size_t escape_size(const char *s, size_t size);

/* Bytes of the UTF-8 character at @s; 0: it is none. */
size_t utf8_size(const char *s, size_t size);

/* Columns that a line takes: escape sequences none, what is no UTF-8 one a byte. */
size_t columns_of(const char *line, size_t size);

/* Append as much of a line as fits into @columns, and all its escape sequences. */
void columns_cut(struct buffer *ret, const char *line, size_t size, size_t columns);

/*
 * Append @text with lines that are too long broken at blanks, what follows indented by four.
 * A word that is too long stays whole. @columns 0: as it is.
 */
void columns_fold(struct buffer *ret, const char *text, size_t size, size_t columns);
