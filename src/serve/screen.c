/* SPDX-License-Identifier: MIT */
#include "serve/screen.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/columns.h"
#include "base/memory.h"
#include "serve/output.h"

#define ERASE_LINE "\r\033[K"
#define ERASE_SCREEN "\033[H\033[2J"

struct screen {
	int fd;
	bool is_live;
	size_t columns; /* 0: not known */
	struct output *output;
	char *live; /* NULL: none */
};

static void measure(struct screen *s)
{
	struct winsize size;

	s->columns = ioctl(s->fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

struct screen *screen_new(int fd)
{
	struct screen *s = xcalloc(1, sizeof(*s));
	const char *term = getenv("TERM");

	s->fd = fd;
	s->is_live = isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
	s->output = output_new(fd);
	measure(s);
	return s;
}

struct screen *screen_free(struct screen *s)
{
	if (!s)
		return NULL;
	screen_set_live(s, NULL);
	output_free(s->output);
	free(s);
	return NULL;
}

bool screen_is_live(const struct screen *s)
{
	return s->is_live;
}

size_t screen_columns(const struct screen *s)
{
	return s->columns;
}

/* The last column stays empty: some terminals wrap there already. */
static void put_live(const struct screen *s, struct buffer *b)
{
	size_t size = s->live ? strlen(s->live) : 0;

	if (size)
		columns_cut(b, s->live, size, s->columns > 1 ? s->columns - 1 : 79);
}

static void put_dropped(struct screen *s, struct buffer *b)
{
	uint64_t dropped = output_take_dropped(s->output);

	if (dropped)
		buffer_printf(b, "(%" PRIu64 " messages were not printed)\n", dropped);
}

void screen_print(struct screen *s, const char *lines, size_t size)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	if (s->live)
		buffer_puts(&text, ERASE_LINE);
	put_dropped(s, &text);
	buffer_append(&text, lines, size);
	put_live(s, &text);
	output_write(s->output, text.data, text.size);
}

void screen_redraw(struct screen *s)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	measure(s);
	if (!s->live)
		return;
	buffer_puts(&text, ERASE_LINE);
	put_live(s, &text);
	output_write(s->output, text.data, text.size);
}

void screen_set_live(struct screen *s, const char *line)
{
	if (!s->is_live || (!line && !s->live) || (line && s->live && strcmp(line, s->live) == 0))
		return;
	free(s->live);
	s->live = xstrdup(line ? line : "");
	screen_redraw(s);
	if (line)
		return;
	free(s->live);
	s->live = NULL;
}

void screen_clear(struct screen *s)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	buffer_puts(&text, ERASE_SCREEN);
	put_live(s, &text);
	if (s->is_live)
		output_write(s->output, text.data, text.size);
}
