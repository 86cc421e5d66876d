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
 * line.
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

#include "build/loops.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/line_map.h"

#define MAX_LOOPS 4096 /* of a file */
#define MAX_LINES (1u << 20)
#define NEAR 8 /* lines that a loop may be told of away from where it was */

static void file_fini(struct loop_file *f)
{
	for (size_t i = 0; i < f->n_loops; i++)
		free(f->loops[i].reason);
	free(f->loops);
	free(f->lines);
	free(f->path);
}

void loops_fini(struct loops *l)
{
	for (size_t i = 0; i < l->n_files; i++)
		file_fini(&l->files[i]);
	free(l->files);
	*l = (struct loops)LOOPS_NULL;
}

static struct loop_file *find_file(const struct loops *l, const char *path)
{
	for (size_t i = 0; i < l->n_files; i++)
		if (strcmp(l->files[i].path, path) == 0)
			return &l->files[i];
	return NULL;
}

static struct loop_file *add_file(struct loops *l, const char *path)
{
	l->files = xrealloc(l->files, (l->n_files + 1) * sizeof(*l->files));
	l->files[l->n_files] = (struct loop_file){ .path = xstrdup(path) };
	return &l->files[l->n_files++];
}

static int by_place(const struct loop *a, unsigned line, unsigned column)
{
	return a->line != line ? (a->line > line) - (a->line < line) : (a->column > column) - (a->column < column);
}

/* The loop at that place, which may be new: then it has no vectors and no reason. NULL: there are too many. */
static struct loop *get_loop(struct loop_file *f, unsigned line, unsigned column)
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

static bool is_vectorised(const struct loop *l)
{
	return l->bytes || l->lanes;
}

/* Of the two widths the wider. */
static void widen(struct loop *l, unsigned bytes, unsigned lanes)
{
	l->bytes = bytes > l->bytes ? bytes : l->bytes;
	l->lanes = lanes > l->lanes ? lanes : l->lanes;
}

static void set_reason(struct loop *loop, const char *reason)
{
	if (!loop || loop->reason || !reason || !*reason)
		return;
	loop->reason = xstrdup(reason);
}

/* Of the compiler's words */

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
	set_reason(loop, buffer_text(&reason));
}

/* @missed: the loop whose reason is still to come; or NULL. */
static struct loop *take_remark(struct loop_file *f, const struct remark *r, struct loop *missed)
{
	unsigned bytes = r->missed ? 0 : vector_bytes(r->text);
	struct loop *loop;

	if (r->missed && strcmp(r->text, "couldn't vectorize loop") == 0)
		return get_loop(f, r->line, r->column);
	if (r->missed && missed)
		explain(missed, r);
	loop = bytes ? get_loop(f, r->line, r->column) : NULL;
	if (loop)
		widen(loop, bytes, 0);
	return NULL;
}

static void read_lines(struct loop_file *f)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	if (file_read(f->path, &text) == 0)
		f->lines = line_hashes(buffer_text(&text), text.size, &f->n_lines);
}

/* One of those that are asked about, new or known; NULL: it is another's. */
static struct loop_file *own_file(struct loops *l, const char *path, const char *directory)
{
	struct loop_file *f;

	if (!path_is_below(path, directory))
		return NULL;
	f = find_file(l, path);
	if (f)
		return f;
	f = add_file(l, path);
	read_lines(f);
	return f;
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
	struct loop *loop = f && (passed || strcmp(d->kind, "Missed") == 0) ? get_loop(f, d->line, d->column) : NULL;

	if (loop && passed)
		widen(loop, 0, d->lanes ? d->lanes : 1);
	else if (loop)
		set_reason(loop, buffer_text(reason));
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

void loops_read(struct loops *l, const char *text, const char *directory)
{
	if (strncmp(text, "--- !", 5) == 0)
		read_clang(l, text, directory);
	else
		read_gcc(l, text, directory);
}

void loops_add(struct loops *l, const struct loops *more)
{
	for (size_t i = 0; i < more->n_files; i++) {
		const struct loop_file *from = &more->files[i];
		struct loop_file *to = find_file(l, from->path);

		if (!to) {
			to = add_file(l, from->path);
			to->n_lines = from->n_lines;
			to->lines = xcalloc(from->n_lines + 1, sizeof(*to->lines));
			for (size_t k = 0; k < from->n_lines; k++)
				to->lines[k] = from->lines[k];
		}
		for (size_t k = 0; k < from->n_loops; k++) {
			struct loop *loop = get_loop(to, from->loops[k].line, from->loops[k].column);

			if (loop)
				widen(loop, from->loops[k].bytes, from->loops[k].lanes);
			set_reason(loop, from->loops[k].reason);
		}
	}
}

/*
 * The note: for each file
 *
 *	file N-LINES N-LOOPS PATH
 *	HASH…                       8 digits for each line
 *	LINE COLUMN BYTES LANES REASON    N-LOOPS times
 */

void loops_put(const struct loops *l, struct buffer *ret)
{
	for (size_t i = 0; i < l->n_files; i++) {
		const struct loop_file *f = &l->files[i];

		buffer_printf(ret, "file %zu %zu %s\n", f->n_lines, f->n_loops, f->path);
		for (size_t k = 0; k < f->n_lines; k++)
			buffer_printf(ret, "%08" PRIx32, f->lines[k]);
		buffer_putc(ret, '\n');
		for (size_t k = 0; k < f->n_loops; k++)
			buffer_printf(ret, "%u %u %u %u %s\n", f->loops[k].line, f->loops[k].column, f->loops[k].bytes,
				      f->loops[k].lanes, f->loops[k].reason ? f->loops[k].reason : "");
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
	unsigned number, column, bytes, lanes;
	struct loop *loop;
	int end = 0;

	if (!line || sscanf(line, "%u %u %u %u%n", &number, &column, &bytes, &lanes, &end) != 4 || line[end] != ' ')
		return false;
	loop = get_loop(f, number, column);
	if (!loop)
		return false;
	widen(loop, bytes, lanes);
	set_reason(loop, line + end + 1);
	return true;
}

static bool take_file(struct loops *l, const char **at)
{
	_cleanup_free_ char *line = next_line(at);
	size_t n_lines, n_loops;
	struct loop_file *f;
	int end = 0;

	if (!line || sscanf(line, "file %zu %zu %n", &n_lines, &n_loops, &end) != 2 || !end || n_lines > MAX_LINES)
		return false;
	f = add_file(l, line + end);
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

/*
 * Comparing
 *
 * A line has its loops in both texts if it stayed and has as many. The compiler names a loop by
 * its condition, but one that it gave up early by some statement of it: what is left over between
 * two loops that were found belongs together, too, if it is as many and not far away.
 */

struct pair {
	const struct loop_file *before, *now;
	size_t *lines; /* line_map() */
	size_t *mates; /* for each loop of before: 1 + which one of now it is; 0: none */
};

/* Where line @line of before, from 1, is now, or would be. */
static size_t line_now(const struct pair *p, unsigned line, bool *ret_stayed)
{
	size_t at = line - 1;

	*ret_stayed = at < p->before->n_lines && p->lines[at] != LINE_GONE;
	while (at < p->before->n_lines && p->lines[at] == LINE_GONE)
		at++;
	return (at < p->before->n_lines ? p->lines[at] : p->now->n_lines) + 1;
}

/* How many loops from @at on are in the same line. */
static size_t count_in_line(const struct loop_file *f, size_t at)
{
	size_t n = 1;

	while (at + n < f->n_loops && f->loops[at + n].line == f->loops[at].line)
		n++;
	return n;
}

static void match(struct pair *p, size_t old, size_t new, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p->mates[old + i] = 1 + new + i;
}

static void match_by_line(struct pair *p)
{
	size_t n, new = 0;
	bool stayed;

	for (size_t old = 0; old < p->before->n_loops; old += n) {
		size_t line = line_now(p, p->before->loops[old].line, &stayed);

		n = count_in_line(p->before, old);
		while (new < p->now->n_loops && p->now->loops[new].line < line)
			new++;
		if (stayed && new < p->now->n_loops && p->now->loops[new].line == line &&
		    count_in_line(p->now, new) == n)
			match(p, old, new, n);
	}
}

static bool are_near(const struct pair *p, size_t old, size_t new, size_t n)
{
	bool stayed;

	for (size_t i = 0; i < n; i++) {
		size_t line = line_now(p, p->before->loops[old + i].line, &stayed), now = p->now->loops[new + i].line;

		if ((line > now ? line - now : now - line) > NEAR)
			return false;
	}
	return true;
}

static void match_between(struct pair *p)
{
	size_t old = 0, new = 0;

	while (old < p->before->n_loops) {
		size_t end = old, new_end;

		while (end < p->before->n_loops && !p->mates[end])
			end++;
		new_end = end < p->before->n_loops ? p->mates[end] - 1 : p->now->n_loops;
		if (end - old == new_end - new && are_near(p, old, new, end - old))
			match(p, old, new, end - old);
		old = end + 1;
		new = new_end + 1;
	}
}

/* Told by the place that the author knows: where it was, if that line is still there. */
static struct loop_change describe(const struct pair *p, const struct loop *old, const struct loop *new)
{
	bool stayed;
	size_t line = line_now(p, old->line, &stayed);
	struct loop_change c = { .file = p->now->path, .line = new->line, .column = new->column,
				 .vectorised = is_vectorised(new), .bytes = new->bytes, .lanes = new->lanes };

	if (c.vectorised)
		return c;
	if (stayed) {
		c.line = (unsigned)line;
		c.column = old->column;
	}
	c.reason = new->reason;
	return c;
}

struct changes {
	struct loop_change *at;
	size_t n;
};

static void compare_file(const struct loop_file *before, const struct loop_file *now, struct changes *ret)
{
	_cleanup_free_ size_t *lines = xcalloc(before->n_lines + 1, sizeof(*lines));
	_cleanup_free_ size_t *mates = xcalloc(before->n_loops + 1, sizeof(*mates));
	struct pair p = { .before = before, .now = now, .lines = lines, .mates = mates };

	line_map(before->lines, before->n_lines, now->lines, now->n_lines, lines);
	match_by_line(&p);
	match_between(&p);
	for (size_t i = 0; i < before->n_loops; i++) {
		const struct loop *old = &before->loops[i], *new = mates[i] ? &now->loops[mates[i] - 1] : NULL;

		if (!new || is_vectorised(old) == is_vectorised(new))
			continue;
		ret->at = xrealloc(ret->at, (ret->n + 1) * sizeof(*ret->at));
		ret->at[ret->n++] = describe(&p, old, new);
	}
}

size_t loops_compare(const struct loops *before, const struct loops *now, struct loop_change **ret)
{
	struct changes c = { .at = NULL };

	for (size_t i = 0; i < now->n_files; i++) {
		const struct loop_file *f = find_file(before, now->files[i].path);

		if (f)
			compare_file(f, &now->files[i], &c);
	}
	*ret = c.at;
	return c.n;
}
