/* SPDX-License-Identifier: MIT */
#pragma once

/* Text that flows into lines; columns are counted as base/columns.h does. */

#include <stddef.h>

struct buffer;

/* Columns that @text takes. */
size_t text_columns(const char *text);

/*
 * Append @text, which starts at column @at, broken at blanks into lines of at most @width
 * columns; all lines but the first are indented by @indent. An empty line starts a paragraph.
 * A word that is longer than a line stays whole. No newline at the end.
 */
void text_wrap(struct buffer *ret, const char *text, size_t at, size_t indent, size_t width);

/* Columns and lines of the terminal @fd; 0 where it is none, or doesn't say. */
void terminal_size(int fd, size_t *ret_columns, size_t *ret_lines);

/* Columns to write for: those of the terminal @fd, but between 20 and 100; 80 where it is none. */
size_t terminal_width(int fd);
