/* SPDX-License-Identifier: MIT */
#include "replica/lines.h"

#include <string.h>

static void one_line(const char *text, size_t size, line_fn fn, void *context)
{
	int level = 1;

	if (size >= 2 && text[0] == '\001' && text[1] >= '0' && text[1] <= '3') {
		level = text[1] - '0';
		text += 2;
		size -= 2;
	}
	fn(context, level, text, size < LINES_MAX ? size : LINES_MAX);
}

void lines_take(struct lines *l, int fd, const char *text, size_t size, line_fn fn, void *context)
{
	struct buffer *line = &l->unfinished[fd - 1];
	const char *end;

	if (size == 0 && line->size) {
		one_line(line->data, line->size, fn, context);
		buffer_reset(line);
	}
	while (size) {
		end = memchr(text, '\n', size);
		if (line->size < 2 * LINES_MAX)
			buffer_append(line, text, end ? (size_t)(end - text) : size);
		if (!end)
			return;
		one_line(buffer_text(line), line->size, fn, context);
		buffer_reset(line);
		size -= (size_t)(end + 1 - text);
		text = end + 1;
	}
}

void lines_fini(struct lines *l)
{
	buffer_fini(&l->unfinished[0]);
	buffer_fini(&l->unfinished[1]);
}
