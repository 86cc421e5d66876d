/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Tree
 *
 * The files below a directory.
 */

#include <stdbool.h>

/* Whether a file of that name is looked for. */
typedef bool (*tree_wants_fn)(const char *name);

/* A non-zero result ends the walk. */
typedef int (*tree_found_fn)(void *context, const char *path);

/*
 * Call @found with the path of each regular file, or link to one, whose name @wants, in no order.
 * Names that start with '.' or '#' are passed over, and so is what can't be read, lies 16
 * directories deep, or is a link to a directory: such links may go round in circles.
 * 0, what @found returned, or -errno: @directory itself can't be read.
 */
int tree_find(const char *directory, tree_wants_fn wants, tree_found_fn found, void *context);
