/* SPDX-License-Identifier: MIT */

#include "build/loops.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"

#define MAX_LOOPS 4096 /* of a file */
#define MAX_LINES (1u << 20)

static void file_fini(struct loop_file *f)
{
	for (size_t i = 0; i < f->n_loops; i++)
		free(f->loops[i].reason);
	free(f->loops);
	free(f->lines);
	nest_fini(&f->nest);
	free(f->path);
}

void loops_fini(struct loops *l)
{
	for (size_t i = 0; i < l->n_files; i++)
		file_fini(&l->files[i]);
	free(l->files);
	*l = (struct loops)LOOPS_NULL;
}

struct loop_file *loops_find(const struct loops *l, const char *path)
{
	for (size_t i = 0; i < l->n_files; i++)
		if (strcmp(l->files[i].path, path) == 0)
			return &l->files[i];
	return NULL;
}

struct loop_file *loops_add_file(struct loops *l, const char *path)
{
	l->files = xrealloc(l->files, (l->n_files + 1) * sizeof(*l->files));
	l->files[l->n_files] = (struct loop_file){ .path = xstrdup(path) };
	return &l->files[l->n_files++];
}

static int by_place(const struct loop *a, unsigned line, unsigned column)
{
	return a->line != line ? (a->line > line) - (a->line < line) : (a->column > column) - (a->column < column);
}

struct loop *loop_file_get(struct loop_file *f, unsigned line, unsigned column)
{
	size_t i = f->n_loops;

	while (i > 0 && by_place(&f->loops[i - 1], line, column) > 0)
		i--;
	if (i > 0 && by_place(&f->loops[i - 1], line, column) == 0)
		return &f->loops[i - 1];
	if (f->n_loops == MAX_LOOPS)
		return NULL;
	f->loops = xrealloc(f->loops, (f->n_loops + 1) * sizeof(*f->loops));
	memmove(f->loops + i + 1, f->loops + i, (f->n_loops - i) * sizeof(*f->loops));
	f->n_loops++;
	f->loops[i] = (struct loop){ .line = line, .column = column };
	return &f->loops[i];
}

bool loop_is_vectorised(const struct loop *l)
{
	return l->bytes || l->lanes;
}

void loop_widen(struct loop *l, unsigned bytes, unsigned lanes)
{
	l->bytes = bytes > l->bytes ? bytes : l->bytes;
	l->lanes = lanes > l->lanes ? lanes : l->lanes;
}

void loop_set_reason(struct loop *loop, const char *reason)
{
	if (!loop || loop->reason || !reason || !*reason)
		return;
	loop->reason = xstrdup(reason);
}

void loops_add(struct loops *l, const struct loops *more)
{
	for (size_t i = 0; i < more->n_files; i++) {
		const struct loop_file *from = &more->files[i];
		struct loop_file *to = loops_find(l, from->path);

		if (!to) {
			to = loops_add_file(l, from->path);
			to->n_lines = from->n_lines;
			to->lines = xcalloc(from->n_lines + 1, sizeof(*to->lines));
			for (size_t k = 0; k < from->n_lines; k++)
				to->lines[k] = from->lines[k];
		}
		for (size_t k = 0; k < from->n_loops; k++) {
			struct loop *loop = loop_file_get(to, from->loops[k].line, from->loops[k].column);

			if (loop) {
				loop_widen(loop, from->loops[k].bytes, from->loops[k].lanes);
				loop->last_line = from->loops[k].last_line;
				loop->last_column = from->loops[k].last_column;
			}
			loop_set_reason(loop, from->loops[k].reason);
		}
	}
}

/*
 * The note: for each file
 *
 *	nests N-LINES N-LOOPS PATH
 *	HASH…                       8 digits for each line
 *	LINE COLUMN LAST-LINE LAST-COLUMN BYTES LANES REASON    N-LOOPS times
 */

void loops_put(const struct loops *l, struct buffer *ret)
{
	for (size_t i = 0; i < l->n_files; i++) {
		const struct loop_file *f = &l->files[i];

		buffer_printf(ret, "nests %zu %zu %s\n", f->n_lines, f->n_loops, f->path);
		for (size_t k = 0; k < f->n_lines; k++)
			buffer_printf(ret, "%08" PRIx32, f->lines[k]);
		buffer_putc(ret, '\n');
		for (size_t k = 0; k < f->n_loops; k++) {
			const struct loop *loop = &f->loops[k];

			buffer_printf(ret, "%u %u %u %u %u %u %s\n", loop->line, loop->column, loop->last_line,
				      loop->last_column, loop->bytes, loop->lanes, loop->reason ? loop->reason : "");
		}
	}
}

/* The next line of *@at without its end; NULL: there is none. */
static char *next_line(const char **at)
{
	size_t size = strcspn(*at, "\n");
	char *line;

	if ((*at)[size] != '\n')
		return NULL;
	line = xstrndup(*at, size);
	*at += size + 1;
	return line;
}

static bool take_hashes(struct loop_file *f, const char **at)
{
	_cleanup_free_ char *line = next_line(at);

	if (!line || strlen(line) != f->n_lines * 8)
		return false;
	f->lines = xcalloc(f->n_lines + 1, sizeof(*f->lines));
	for (size_t i = 0; i < f->n_lines; i++)
		if (sscanf(line + i * 8, "%8" SCNx32, &f->lines[i]) != 1)
			return false;
	return true;
}

static bool take_loop(struct loop_file *f, const char **at)
{
	_cleanup_free_ char *line = next_line(at);
	unsigned number, column, last_line, last_column, bytes, lanes;
	struct loop *loop;
	int end = 0;

	if (!line || sscanf(line, "%u %u %u %u %u %u%n", &number, &column, &last_line, &last_column, &bytes, &lanes,
			    &end) != 6 || line[end] != ' ')
		return false;
	loop = loop_file_get(f, number, column);
	if (!loop)
		return false;
	loop->last_line = last_line;
	loop->last_column = last_column;
	loop_widen(loop, bytes, lanes);
	loop_set_reason(loop, line + end + 1);
	return true;
}

static bool take_file(struct loops *l, const char **at)
{
	_cleanup_free_ char *line = next_line(at);
	size_t n_lines, n_loops;
	struct loop_file *f;
	int end = 0;

	if (!line || sscanf(line, "nests %zu %zu %n", &n_lines, &n_loops, &end) != 2 || !end || n_lines > MAX_LINES)
		return false;
	f = loops_add_file(l, line + end);
	f->n_lines = n_lines;
	if (!take_hashes(f, at))
		return false;
	while (n_loops--)
		if (!take_loop(f, at))
			return false;
	return true;
}

bool loops_take(struct loops *l, const char *text)
{
	struct loops read = LOOPS_NULL;
	bool good = true;

	while (good && *text)
		good = take_file(&read, &text);
	if (good)
		loops_add(l, &read);
	loops_fini(&read);
	return good;
}
