/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Buffer
 *
 * Bytes that grow at the end. Always followed by a NUL that `size` doesn't count,
 * so that `data` is a string as well; `data` is NULL until something was added.
 * Used for text that is being written, and as `why`: the sentence, with a hint,
 * that goes with an error code.
 */

#include <stdarg.h>
#include <stddef.h>

struct buffer {
	char *data;
	size_t size;
	size_t room; /* allocated, the NUL included */
};

#define BUFFER_NULL { .data = NULL }
#define _cleanup_buffer_ __attribute__((cleanup(buffer_fini)))

void buffer_fini(struct buffer *b);

/* Forget the content, keep the memory. */
void buffer_reset(struct buffer *b);

/* Make room for @more bytes and return the place; buffer_grow() then counts them in. */
char *buffer_reserve(struct buffer *b, size_t more);
void buffer_grow(struct buffer *b, size_t added);

void buffer_append(struct buffer *b, const void *bytes, size_t size);
void buffer_puts(struct buffer *b, const char *s);
void buffer_putc(struct buffer *b, char c);
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_vprintf(struct buffer *b, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

/* Drop the first @size bytes. */
void buffer_consume(struct buffer *b, size_t size);

/* The content as a string, "" where there is none. Valid until the next change. */
const char *buffer_text(const struct buffer *b);

/* Give the string away; the buffer is empty afterwards. free() it. */
char *buffer_steal(struct buffer *b);
