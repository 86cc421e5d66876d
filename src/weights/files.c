/* SPDX-License-Identifier: MIT */
#include "weights/files.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

static void add(struct weights_files *f, const char *plugin, const char *path)
{
	bool below = path_is_below(path, plugin) && path[strlen(plugin)] == '/';

	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->at[i].path, path) == 0)
			return;
	f->at = xrealloc(f->at, (f->n + 1) * sizeof(*f->at));
	f->at[f->n++] = (struct weights_file){
		.path = xstrdup(path),
		.name = xstrdup(below ? path + strlen(plugin) + 1 : path_name(path)),
	};
}

static int compare(const void *a, const void *b)
{
	const struct weights_file *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->path, y->path);
}

void weights_files_find(const char *plugin, char *const *paths, struct weights_files *ret)
{
	struct weights_files f = WEIGHTS_FILES_NULL;

	for (; *paths; paths++) {
		_cleanup_free_ char *path = **paths == '/' ? xstrdup(*paths) : path_join(plugin, *paths);

		add(&f, plugin, path);
	}
	if (f.n)
		qsort(f.at, f.n, sizeof(*f.at), compare);
	*ret = f;
}

void weights_files_fini(struct weights_files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->at[i].path);
		free(f->at[i].name);
	}
	free(f->at);
	*f = (struct weights_files)WEIGHTS_FILES_NULL;
}
