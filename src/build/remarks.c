/* SPDX-License-Identifier: MIT */

/*
 * gcc writes, for -fopt-info-vec-optimized-missed,
 *
 *	mm.c:19:25: optimized: loop vectorized using 32 byte vectors
 *	mm.c:17:24: missed: couldn't vectorize loop
 *	mm.c:20:14: missed: not vectorized: complicated access pattern.
 *
 * and much else. A loop may be told of more than once: for what is left over, with narrower
 * vectors, and for each place that it was inlined into. It counts as vectorised if one was. The
 * first thing that was missed after "couldn't vectorize" is the reason, and may be at another
 * line. Copies that the compiler makes of a loop are told by a place in its condition, or by some
 * statement of it: all of them are the one that is written there (build/nest.h).
 *
 * clang writes YAML, a document for each remark: of what it did, of what it missed, and before the
 * latter why.
 *
 *	--- !Analysis
 *	Pass:            loop-vectorize
 *	Name:            CantVectorizeLibcall
 *	DebugLoc:        { File: /p/mm.c, Line: 6, Column: 10 }
 *	Args:
 *	  - String:          'loop not vectorized: '
 *	  - String:          call instruction cannot be vectorized
 *	...
 */

#include "build/remarks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/line_map.h"
#include "build/loops.h"

static void read_lines(struct loop_file *f)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	if (file_read(f->path, &text) < 0)
		return;
	f->lines = line_hashes(buffer_text(&text), text.size, &f->n_lines);
	nest_read(&f->nest, buffer_text(&text), text.size);
}

/* One of those that are asked about, new or known; NULL: it is another's. */
static struct loop_file *own_file(struct loops *l, const char *path, const char *directory)
{
	struct loop_file *f;

	if (!path_is_below(path, directory))
		return NULL;
	f = loops_find(l, path);
	if (f)
		return f;
	f = loops_add_file(l, path);
	read_lines(f);
	return f;
}

/* Of gcc's */

struct remark {
	char *path, *text; /* in the line, which is cut */
	unsigned line, column;
	bool missed;
};

/* "PATH:LINE:COLUMN: optimized: TEXT"; the path may have colons of its own. */
static bool read_remark(char *line, struct remark *ret)
{
	char *optimized = strstr(line, ": optimized: "), *missed = strstr(line, ": missed: ");
	char *at = optimized ? optimized : missed, *colon;

	if (!at)
		return false;
	ret->missed = !optimized;
	ret->text = at + strlen(optimized ? ": optimized: " : ": missed: ");
	*at = '\0';
	colon = strrchr(line, ':');
	if (!colon)
		return false;
	ret->column = (unsigned)strtoul(colon + 1, NULL, 10);
	*colon = '\0';
	colon = strrchr(line, ':');
	if (!colon)
		return false;
	ret->line = (unsigned)strtoul(colon + 1, NULL, 10);
	*colon = '\0';
	ret->path = line;
	return ret->line > 0;
}

static unsigned vector_bytes(const char *text)
{
	unsigned bytes = 0;

	return sscanf(text, "loop vectorized using %u byte", &bytes) == 1 ? bytes : 0;
}

/* "complicated access pattern (line 20)" */
static void explain(struct loop *loop, const struct remark *r)
{
	static const char prefix[] = "not vectorized: ";
	const char *why = strncmp(r->text, prefix, sizeof(prefix) - 1) == 0 ? r->text + sizeof(prefix) - 1 : r->text;
	_cleanup_buffer_ struct buffer reason = BUFFER_NULL;
	size_t size = strlen(why);

	while (size && (why[size - 1] == '.' || why[size - 1] == ' '))
		size--;
	buffer_append(&reason, why, size);
	if (r->line != loop->line)
		buffer_printf(&reason, " (line %u)", r->line);
	loop_set_reason(loop, buffer_text(&reason));
}

/* The loop that is written around that place. */
static struct loop *get_written(struct loop_file *f, unsigned line, unsigned column)
{
	const struct span *s = nest_find(&f->nest, line, column);
	struct loop *loop = s ? loop_file_get(f, s->line, s->column) : loop_file_get(f, line, column);

	if (loop && s) {
		loop->last_line = s->last_line;
		loop->last_column = s->last_column;
	}
	return loop;
}

/* @missed: the loop whose reason is still to come; or NULL. */
static struct loop *take_remark(struct loop_file *f, const struct remark *r, struct loop *missed)
{
	unsigned bytes = r->missed ? 0 : vector_bytes(r->text);
	struct loop *loop;

	if (r->missed && strcmp(r->text, "couldn't vectorize loop") == 0)
		return get_written(f, r->line, r->column);
	if (r->missed && missed)
		explain(missed, r);
	loop = bytes ? get_written(f, r->line, r->column) : NULL;
	if (loop)
		loop_widen(loop, bytes, 0);
	return NULL;
}

static void read_gcc(struct loops *l, const char *text, const char *directory)
{
	struct loop_file *f = NULL;
	struct loop *missed = NULL;
	struct remark r;

	while (*text) {
		size_t size = strcspn(text, "\n");
		_cleanup_free_ char *line = xstrndup(text, size);

		text += size + (text[size] == '\n');
		if (!read_remark(line, &r))
			continue;
		if (!f || strcmp(f->path, r.path) != 0) {
			missed = NULL;
			f = own_file(l, r.path, directory);
		}
		if (f)
			missed = take_remark(f, &r, missed);
	}
}

/* Of clang's */

struct document {
	char kind[16], name[64]; /* "Passed", "Vectorized" */
	char *path;              /* or NULL */
	unsigned line, column, lanes;
	struct buffer text;
};

/* The value of a line "  - String:  'text'", without its quotes; cut in place. */
static char *value_of(char *line, const char *key)
{
	char *at = strncmp(line, key, strlen(key)) == 0 ? line + strlen(key) : NULL;
	size_t size;

	if (!at)
		return NULL;
	at += strspn(at, " ");
	size = strlen(at);
	if (size > 1 && (*at == '\'' || *at == '"') && at[size - 1] == *at) {
		at[size - 1] = '\0';
		at++;
	}
	return at;
}

/* "{ File: /p/mm.c, Line: 6, Column: 10 }" */
static void read_place(struct document *d, char *value)
{
	char *file = strstr(value, "File: "), *line = strstr(value, ", Line: ");

	if (!file || !line || line < file || sscanf(line, ", Line: %u, Column: %u", &d->line, &d->column) != 2)
		return;
	*line = '\0';
	free(d->path);
	d->path = xstrdup(value_of(file, "File:"));
}

/* Names are relative to what a file has in common with where the compiler ran, which is @directory. */
static struct loop_file *file_of(struct loops *l, const struct document *d, const char *directory)
{
	_cleanup_free_ char *joined = NULL;

	if (!d->path || !d->line)
		return NULL;
	if (d->path[0] == '/')
		return own_file(l, d->path, directory);
	joined = path_join(directory, d->path);
	return file_exists(joined) ? own_file(l, joined, directory) : NULL;
}

static void take_document(struct loops *l, struct document *d, const char *directory, struct buffer *reason)
{
	static const char prefix[] = "loop not vectorized: ";
	const char *why = buffer_text(&d->text);
	struct loop_file *f = file_of(l, d, directory);
	bool passed = strcmp(d->kind, "Passed") == 0 && strcmp(d->name, "Vectorized") == 0;
	struct loop *loop = f && (passed || strcmp(d->kind, "Missed") == 0) ? get_written(f, d->line, d->column) : NULL;

	if (loop && passed)
		loop_widen(loop, 0, d->lanes ? d->lanes : 1);
	else if (loop)
		loop_set_reason(loop, buffer_text(reason));
	if (loop)
		buffer_reset(reason);
	if (strncmp(d->kind, "Analysis", 8) == 0 && strncmp(why, prefix, sizeof(prefix) - 1) == 0 && !reason->size)
		buffer_puts(reason, why + sizeof(prefix) - 1);
}

static void document_reset(struct document *d)
{
	free(d->path);
	buffer_reset(&d->text);
	*d = (struct document){ .text = d->text };
}

static void read_clang(struct loops *l, const char *text, const char *directory)
{
	struct document d = { .text = BUFFER_NULL };
	_cleanup_buffer_ struct buffer reason = BUFFER_NULL;

	while (*text) {
		size_t size = strcspn(text, "\n");
		_cleanup_free_ char *line = xstrndup(text, size);
		char *value;

		text += size + (text[size] == '\n');
		if ((value = value_of(line, "--- !")))
			snprintf(d.kind, sizeof(d.kind), "%s", value);
		else if ((value = value_of(line, "Name:")))
			snprintf(d.name, sizeof(d.name), "%s", value);
		else if ((value = value_of(line, "DebugLoc:")))
			read_place(&d, value);
		else if ((value = value_of(line, "  - String:")))
			buffer_puts(&d.text, value);
		else if ((value = value_of(line, "  - VectorizationFactor:")))
			d.lanes = (unsigned)strtoul(value, NULL, 10);
		else if (strcmp(line, "...") == 0) {
			take_document(l, &d, directory, &reason);
			document_reset(&d);
		}
	}
	document_reset(&d);
	buffer_fini(&d.text);
}

void remarks_read(struct loops *l, const char *text, const char *directory)
{
	if (strncmp(text, "--- !", 5) == 0)
		read_clang(l, text, directory);
	else
		read_gcc(l, text, directory);
}
