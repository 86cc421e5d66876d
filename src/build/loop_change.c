/* SPDX-License-Identifier: MIT */

/*
 * A line has its loops in both texts if it stayed and has as many. The compiler names a loop by
 * its condition, but one that it gave up early by some statement of it: what is left over between
 * two loops that were found belongs together, too, if it is as many and not far away.
 */

#include "build/loop_change.h"

#include <stdlib.h>

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

/* Told by the place that the author knows: where it was, if that line is still there. */
static struct loop_change describe(const struct pair *p, const struct loop *old, const struct loop *new)
{
	bool stayed;
	size_t line = line_now(p, old->line, &stayed);
	struct loop_change c = { .file = p->now->path, .line = new->line, .column = new->column,
				 .vectorised = loop_is_vectorised(new), .bytes = new->bytes, .lanes = new->lanes };

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

		if (!new || loop_is_vectorised(old) == loop_is_vectorised(new))
			continue;
		ret->at = xrealloc(ret->at, (ret->n + 1) * sizeof(*ret->at));
		ret->at[ret->n++] = describe(&p, old, new);
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
