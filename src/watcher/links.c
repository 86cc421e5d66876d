/* SPDX-License-Identifier: GPL-2.0-only */
#include "watcher/links.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "watcher/scan.h"

struct reading {
	struct links *ret;
	const char *root;
};

static int on_found(void *context, const char *path, const char *name, enum scan_kind kind)
{
	const struct reading *r = context;
	char *target = kind == SCAN_LINK ? realpath(path, NULL) : NULL;

	if (!target || !file_is_directory(target) || path_is_below(r->root, target)) {
		free(target);
		return 0;
	}
	r->ret->all = xrealloc(r->ret->all, (r->ret->n_links + 1) * sizeof(*r->ret->all));
	r->ret->all[r->ret->n_links++] = (struct link){ xstrdup(name), target };
	return 0;
}

struct links links_read(const char *root)
{
	struct links found = LINKS_NULL;
	struct reading reading = { .ret = &found, .root = root };

	scan(root, on_found, &reading);
	return found;
}

void links_fini(struct links *l)
{
	for (size_t i = 0; i < l->n_links; i++) {
		free(l->all[i].name);
		free(l->all[i].target);
	}
	free(l->all);
	*l = (struct links)LINKS_NULL;
}

bool links_have(const struct links *l, const struct link *link)
{
	for (size_t i = 0; i < l->n_links; i++)
		if (strcmp(l->all[i].name, link->name) == 0 &&
		    strcmp(l->all[i].target, link->target) == 0)
			return true;
	return false;
}
