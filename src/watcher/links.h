/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/*
 * Links
 *
 * Symbolic links that are direct children of the root and lead to a directory. They are
 * followed, as plugins that lie elsewhere are linked into place like that. A link to the
 * root or above is not: everything would be seen twice. Links further down are not followed.
 */

#include <stdbool.h>
#include <stddef.h>

struct link {
	char *name;   /* in the root */
	char *target; /* realpath() */
};

struct links {
	struct link *all;
	size_t n_links;
};

#define LINKS_NULL { .all = NULL }

/* Those that are in @root, itself a realpath(). Links that lead nowhere are left out. */
struct links links_read(const char *root);
void links_fini(struct links *l);

/* Whether there is the same name with the same target. */
bool links_have(const struct links *l, const struct link *link);
