/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void buffer_fini(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer)BUFFER_NULL;
}

void buffer_reset(struct buffer *b)
{
	b->size = 0;
	if (b->data)
		b->data[0] = '\0';
}

char *buffer_reserve(struct buffer *b, size_t more)
{
	if (b->room - b->size <= more) {
		size_t room = b->room + b->room / 2;

		if (room < b->size + more + 1)
			room = b->size + more + 1;
		if (room < 64)
			room = 64;
		b->data = xrealloc(b->data, room);
		b->data[b->size] = '\0';
		b->room = room;
	}
	return b->data + b->size;
}

void buffer_grow(struct buffer *b, size_t added)
{
	assert(b->size + added < b->room);
	b->size += added;
	b->data[b->size] = '\0';
}

void buffer_append(struct buffer *b, const void *bytes, size_t size)
{
	if (!size)
		return;
	memcpy(buffer_reserve(b, size), bytes, size);
	buffer_grow(b, size);
}

void buffer_puts(struct buffer *b, const char *s)
{
	buffer_append(b, s, strlen(s));
}

void buffer_putc(struct buffer *b, char c)
{
	*buffer_reserve(b, 1) = c;
	buffer_grow(b, 1);
}

void buffer_vprintf(struct buffer *b, const char *format, va_list args)
{
	va_list again;
	int n;

	va_copy(again, args);
	buffer_reserve(b, 64);
	n = vsnprintf(b->data + b->size, b->room - b->size, format, args);
	assert(n >= 0);
	if ((size_t)n >= b->room - b->size) {
		buffer_reserve(b, (size_t)n);
		vsnprintf(b->data + b->size, b->room - b->size, format, again);
	}
	va_end(again);
	buffer_grow(b, (size_t)n);
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buffer_vprintf(b, format, args);
	va_end(args);
}

void buffer_consume(struct buffer *b, size_t size)
{
	assert(size <= b->size);
	if (!size)
		return;
	memmove(b->data, b->data + size, b->size - size + 1);
	b->size -= size;
}

const char *buffer_text(const struct buffer *b)
{
	return b->data ? b->data : "";
}

char *buffer_steal(struct buffer *b)
{
	char *data = b->data ? b->data : xstrdup("");

	*b = (struct buffer)BUFFER_NULL;
	return data;
}
