/* SPDX-License-Identifier: MIT */
#include "weights/files.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/tree.h"

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

struct finding {
	struct weights_files *files;
	const char *plugin;
};

static bool is_weights(const char *name)
{
	return strcmp(path_suffix(name), ".safetensors") == 0;
}

static int on_found(void *context, const char *path)
{
	const struct finding *f = context;

	add(f->files, f->plugin, path);
	return 0;
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

	if (!paths && file_is_directory(plugin))
		tree_find(plugin, is_weights, on_found, &(struct finding){ &f, plugin });
	for (; paths && *paths; paths++) {
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
