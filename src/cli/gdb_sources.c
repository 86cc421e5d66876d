/* SPDX-License-Identifier: MIT */
#include "cli/gdb_sources.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/tree.h"
#include "history/reader.h"

struct writing {
	struct gdb_sources *sources;
	const struct gdb_sources_of *of;
	char *directory; /* NULL: none was needed yet, or it can't be made */
};

static bool is_as_it_was(const char *path, const char *text, size_t size)
{
	_cleanup_buffer_ struct buffer now = BUFFER_NULL;

	return file_read(path, &now) == 0 && now.size == size && memcmp(buffer_text(&now), text, size) == 0;
}

static bool make_directory(struct writing *w)
{
	if (w->directory)
		return true;
	w->directory = xasprintf("%s/tmp/%ld-XXXXXX", w->of->state_dir, (long)getpid());
	if (mkdtemp(w->directory))
		return true;
	free(w->directory);
	w->directory = NULL;
	return false;
}

/* As gdb's words are quoted. */
static void put_quoted(struct buffer *b, const char *path)
{
	buffer_putc(b, '"');
	for (; *path; path++) {
		if (*path == '"' || *path == '\\')
			buffer_putc(b, '\\');
		buffer_putc(b, *path);
	}
	buffer_putc(b, '"');
}

static void redirect(struct gdb_sources *s, const char *from, const char *to)
{
	struct buffer command = BUFFER_NULL;

	buffer_puts(&command, "set substitute-path ");
	put_quoted(&command, from);
	buffer_putc(&command, ' ');
	put_quoted(&command, to);
	s->commands = xrealloc(s->commands, (s->n + 1) * sizeof(*s->commands));
	s->commands[s->n++] = buffer_steal(&command);
}

/* Its place is below ours whatever the history says of it. */
static bool is_plain(const char *path)
{
	return path[0] && path[0] != '/' && !strstr(path, "..");
}

static void on_source(void *context, const char *path, const char *text, size_t size)
{
	struct writing *w = context;
	_cleanup_free_ char *from = path_join(w->of->root, path), *to = NULL, *folder = NULL;

	if (!is_plain(path) || is_as_it_was(from, text, size) || !make_directory(w))
		return;
	to = path_join(w->directory, path);
	folder = xstrndup(to, (size_t)(path_name(to) - to) - 1);
	if (file_make_directories(folder) == 0 && file_write(to, text, size, 0400) == 0)
		redirect(w->sources, from, to);
}

void gdb_sources_find(struct gdb_sources *s, const struct gdb_sources_of *of)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL; /* without them gdb shows what lies there now */
	struct writing w = { .sources = s, .of = of };
	struct history_reader *r = NULL;

	if (history_reader_open(of->state_dir, &r, &why) != 0)
		return;
	history_reader_sources(r, of->deployment, of->generation, on_source, &w, &why);
	history_reader_close(r);
	free(w.directory);
}

struct taking {
	struct gdb_sources *sources;
	const char *root, *directory;
};

static bool is_wanted(const char *name)
{
	return name[0] != '.';
}

static int on_file(void *context, const char *path)
{
	const struct taking *t = context;
	_cleanup_free_ char *from = path_join(t->root, path + strlen(t->directory) + 1);
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	if (file_read(path, &text) == 0 && !is_as_it_was(from, buffer_text(&text), text.size))
		redirect(t->sources, from, path);
	return 0;
}

void gdb_sources_take(struct gdb_sources *s, const char *root, const char *directory)
{
	struct taking t = { .sources = s, .root = root, .directory = directory };

	tree_find(directory, is_wanted, on_file, &t);
}

void gdb_sources_fini(struct gdb_sources *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->commands[i]);
	free(s->commands);
	*s = (struct gdb_sources)GDB_SOURCES_NULL;
}
