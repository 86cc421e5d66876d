/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Loops
 *
 * Which loops of a deployment's sources the compiler vectorised, and why not the others, as
 * gcc tells with -fopt-info and clang in its record of optimisations. With the lines of the files they stand in, so that loops can be
 * found again after an edit.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;

struct loop {
	unsigned line, column; /* from 1 */
	unsigned bytes;        /* of the widest vectors it works with, as gcc tells, */
	unsigned lanes;        /* or how many numbers are in one, as clang does; both 0: it wasn't vectorised, */
	char *reason;          /* and why, a clause of the compiler's; NULL: it doesn't say */
};

struct loop_file {
	char *path;         /* absolute */
	uint32_t *lines;    /* a hash of each (line_map.h) */
	size_t n_lines;
	struct loop *loops; /* by line and column */
	size_t n_loops;
};

struct loops {
	struct loop_file *files;
	size_t n_files;
};

#define LOOPS_NULL { .files = NULL }

void loops_fini(struct loops *l);

/* Add what gcc or clang wrote of the files below @directory. They are read, for their lines. */
void loops_read(struct loops *l, const char *text, const char *directory);
/* Add those of another source. What both have, a header's loops, is vectorised if it is in one of them. */
void loops_add(struct loops *l, const struct loops *more);

/* As a note of the store has them. False: that is no such text; @l is as it was. */
void loops_put(const struct loops *l, struct buffer *ret);
bool loops_take(struct loops *l, const char *text);

struct loop_change { /* borrows from the loops that it is about */
	const char *file;
	unsigned line, column; /* now */
	bool vectorised;       /* it is now, and wasn't; or it was, and isn't any more: */
	const char *reason;    /* or NULL */
	unsigned bytes, lanes; /* of the vectors; one of them, or none, is known */
};

/*
 * Loops that are there before and now, with another answer to whether they are vectorised, in the
 * order of their places. A loop that can't be told from others is left out. Returns how many;
 * *@ret is to be freed.
 */
size_t loops_compare(const struct loops *before, const struct loops *now, struct loop_change **ret);
