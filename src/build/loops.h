/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Loops
 *
 * Which loops of a deployment's sources the compiler vectorised, and why not the others, as
 * it tells (build/remarks.h). With the lines of the files they stand in, so that loops can be
 * found again after an edit (build/loop_change.h).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "build/nest.h"

struct buffer;

struct loop {
	unsigned line, column; /* from 1: of its first word; or, in a text that can't be followed, as the compiler tells */
	unsigned last_line, last_column; /* behind its end; 0: unknown */
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
	struct nest nest;   /* while it is read what the compiler says */
};

struct loops {
	struct loop_file *files;
	size_t n_files;
};

#define LOOPS_NULL { .files = NULL }

void loops_fini(struct loops *l);

/* That file, with what is known of it; NULL: nothing is. */
struct loop_file *loops_find(const struct loops *l, const char *path);
/* A file that isn't there yet, without lines and loops. What was returned is good until the next is added. */
struct loop_file *loops_add_file(struct loops *l, const char *path);

/* The loop at that place, which may be new: then it has no vectors and no reason. NULL: there are too many. */
struct loop *loop_file_get(struct loop_file *f, unsigned line, unsigned column);

bool loop_is_vectorised(const struct loop *l);
/* Of the widths that are told of it the widest counts, */
void loop_widen(struct loop *l, unsigned bytes, unsigned lanes);
/* and of the reasons the first. @loop, @reason: or NULL. */
void loop_set_reason(struct loop *loop, const char *reason);

/* Add those of another source. What both have, a header's loops, is vectorised if it is in one of them. */
void loops_add(struct loops *l, const struct loops *more);

/* As a note of the store has them. False: that is no such text; @l is as it was. */
void loops_put(const struct loops *l, struct buffer *ret);
bool loops_take(struct loops *l, const char *text);
