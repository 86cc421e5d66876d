/* SPDX-License-Identifier: MIT */

/*
 * A line has its loops in both texts if it stayed and has as many. The compiler names a loop by
 * its condition, but one that it gave up early by some statement of it: what is left over between
 * two loops that were found belongs together, too, if it is as many and not far away.
 *
 * Who interchanges loops moves their heads: the line of the inner one may be the outer one's now,
 * which has no vectors itself. So it is asked whether a loop works with vectors, its own, those of
 * one inside it, or of one around it. A loop that is around others before and now doesn't count but
 * for vectors of its own: those inside are told.
 */

#include "build/loop_change.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "build/line_map.h"
#include "build/loops.h"

#define NEAR 8 /* lines that a loop may be told of away from where it was */

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

static bool is_before(unsigned line, unsigned column, unsigned other_line, unsigned other_column)
{
	return line < other_line || (line == other_line && column < other_column);
}

static bool is_inside(const struct loop *inner, const struct loop *outer)
{
	return is_before(outer->line, outer->column, inner->line, inner->column) &&
	       is_before(inner->line, inner->column, outer->last_line, outer->last_column);
}

/* The first one inside it that has none inside itself; or it. */
static const struct loop *innermost(const struct loop_file *f, const struct loop *l)
{
	const struct loop *end = f->loops + f->n_loops;

	for (const struct loop *i = l + 1; i < end; i++)
		if (is_inside(i, l))
			l = i;
	return l;
}

/* The loop by whose vectors it works; NULL: there is none. */
static const struct loop *vectors_of(const struct loop_file *f, const struct loop *l)
{
	const struct loop *found = NULL;

	if (loop_is_vectorised(l))
		return l;
	for (size_t i = 0; i < f->n_loops && !found; i++)
		if (loop_is_vectorised(&f->loops[i]) && (is_inside(&f->loops[i], l) || is_inside(l, &f->loops[i])))
			found = &f->loops[i];
	return found;
}

static bool counts(const struct pair *p, const struct loop *old, const struct loop *new)
{
	return loop_is_vectorised(old) != loop_is_vectorised(new) || innermost(p->before, old) == old ||
	       innermost(p->now, new) == new;
}

/* Told by the place that the author knows: where it was, if that line is still there. */
static struct loop_change describe(const struct pair *p, const struct loop *old, const struct loop *new)
{
	bool stayed;
	size_t line = line_now(p, old->line, &stayed);
	const struct loop *by = vectors_of(p->now, new), *at = by ? by : innermost(p->now, new);
	struct loop_change c = { .file = p->now->path, .line = at->line, .column = at->column, .vectorised = by,
				 .bytes = at->bytes, .lanes = at->lanes };

	if (c.vectorised)
		return c;
	if (stayed && !at->last_line) {
		c.line = (unsigned)line;
		c.column = old->column;
	}
	c.reason = at->reason;
	return c;
}

struct changes {
	struct loop_change *at;
	size_t n;
};

static bool is_told(const struct changes *c, const struct loop_change *change)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->at[i].file, change->file) == 0 && c->at[i].line == change->line &&
		    c->at[i].column == change->column)
			return true;
	return false;
}

static void add_change(struct changes *c, const struct loop_change *change)
{
	if (is_told(c, change))
		return;
	c->at = xrealloc(c->at, (c->n + 1) * sizeof(*c->at));
	c->at[c->n++] = *change;
}

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

		struct loop_change change;

		if (!new || !counts(&p, old, new) || !vectors_of(before, old) == !vectors_of(now, new))
			continue;
		change = describe(&p, old, new);
		add_change(ret, &change);
	}
}

size_t loops_compare(const struct loops *before, const struct loops *now, struct loop_change **ret)
{
	struct changes c = { .at = NULL };

	for (size_t i = 0; i < now->n_files; i++) {
		const struct loop_file *f = loops_find(before, now->files[i].path);

		if (f)
			compare_file(f, &now->files[i], &c);
	}
	*ret = c.at;
	return c.n;
}
