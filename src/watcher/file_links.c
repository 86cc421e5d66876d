/* SPDX-License-Identifier: GPL-2.0-only */
#include "watcher/file_links.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"

static struct link *find(const struct file_links *f, const char *path)
{
	for (size_t i = 0; i < f->n_links; i++)
		if (strcmp(f->all[i].name, path) == 0)
			return &f->all[i];
	return NULL;
}

static void forget(struct file_links *f, struct link *l)
{
	free(l->name);
	free(l->target);
	*l = f->all[--f->n_links];
}

static void add(struct file_links *f, const char *path, char *target)
{
	f->all = xrealloc(f->all, (f->n_links + 1) * sizeof(*f->all));
	f->all[f->n_links++] = (struct link){ xstrdup(path), target };
}

void file_links_fini(struct file_links *f)
{
	while (f->n_links)
		forget(f, &f->all[f->n_links - 1]);
	free(f->all);
	*f = (struct file_links)FILE_LINKS_NULL;
}

static bool is_link(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

bool file_links_look(struct file_links *f, const char *path)
{
	struct link *known = find(f, path);
	_cleanup_free_ char *target = NULL;

	if (!is_link(path)) {
		if (known)
			forget(f, known);
		return false;
	}
	target = realpath(path, NULL);
	if (!target || file_is_directory(target) || (known && strcmp(known->target, target) == 0))
		return false;
	if (known) {
		free(known->target);
		known->target = target;
	} else {
		add(f, path, target);
	}
	target = NULL;
	return true;
}

bool file_links_lead_to(const struct file_links *f, const char *path)
{
	for (size_t i = 0; i < f->n_links; i++)
		if (strcmp(f->all[i].target, path) == 0)
			return true;
	return false;
}
