/* SPDX-License-Identifier: MIT */
#include "base/wrap.h"

#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/columns.h"

size_t text_columns(const char *text)
{
	return columns_of(text, strlen(text));
}

void text_wrap(struct buffer *ret, const char *text, size_t at, size_t indent, size_t width)
{
	bool first = true;

	while (*(text += strspn(text, " "))) {
		size_t size = strcspn(text, " \n"), columns = columns_of(text, size);
		bool paragraph = text[0] == '\n';

		if (paragraph || (!first && at + 1 + columns > width)) {
			buffer_printf(ret, "%s\n%*s", paragraph ? "\n" : "", (int)indent, "");
			at = indent;
			first = true;
		}
		if (paragraph) {
			text += strspn(text, "\n");
			continue;
		}
		if (!first)
			buffer_putc(ret, ' ');
		buffer_append(ret, text, size);
		at += columns + !first;
		first = false;
		text += size;
		if (text[0] == '\n' && text[1] != '\n')
			text++;
	}
}

void terminal_size(int fd, size_t *ret_columns, size_t *ret_lines)
{
	struct winsize size = { .ws_col = 0 };

	if (!isatty(fd) || ioctl(fd, TIOCGWINSZ, &size) < 0)
		size = (struct winsize){ .ws_col = 0 };
	*ret_columns = size.ws_col;
	*ret_lines = size.ws_row;
}

size_t terminal_width(int fd)
{
	size_t columns, lines;

	terminal_size(fd, &columns, &lines);
	return !columns ? 80 : columns < 20 ? 20 : columns > 100 ? 100 : columns;
}
