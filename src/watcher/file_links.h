/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/*
 * File links
 *
 * Symbolic links, anywhere in the tree, that lead to a file of interest: what is written to
 * that file is told by the link's name.
 */

#include <stdbool.h>
#include <stddef.h>

#include "watcher/links.h"

struct file_links {
	struct link *all; /* name: the link's own path, its directory without links */
	size_t n_links;
};

#define FILE_LINKS_NULL { .all = NULL }

void file_links_fini(struct file_links *f);

/*
 * Look at @path: it is known from now on if it is a link to a file, and no more if it isn't one.
 * A link that leads nowhere for a moment keeps its target. Whether it has another target now.
 */
bool file_links_look(struct file_links *f, const char *path);

/* Whether a link leads to @path. */
bool file_links_lead_to(const struct file_links *f, const char *path);
