/* SPDX-License-Identifier: MIT */
#include "serve/plugin_root.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/build.h"
#include "serve/plugin.h"

static struct plugin *find_by_path(struct plugins *ps, const char *path)
{
	struct plugin *p;

	LIST_FOREACH(p, &ps->list, entry)
		if (strcmp(p->path, path) == 0)
			return p;
	return NULL;
}

static bool is_candidate(const char *path)
{
	const char *name = path_name(path);

	return name[0] != '.' && name[0] != '_' && name[0] != '\0';
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t list_root(const char *root, char ***ret)
{
	DIR *d = opendir(root);
	struct dirent *e;
	char **paths = NULL;
	size_t n = 0;

	while (d && (e = readdir(d))) {
		if (!is_candidate(e->d_name))
			continue;
		paths = xrealloc(paths, (n + 1) * sizeof(*paths));
		paths[n++] = path_join(root, e->d_name);
	}
	if (d)
		closedir(d);
	if (n)
		qsort(paths, n, sizeof(*paths), compare_names);
	*ret = paths;
	return n;
}

static bool touches(const struct plugin *p, const char *const *paths, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (path_is_below(paths[i], p->path) || path_is_below(p->path, paths[i]) ||
		    builder_depends(p->plugins->builder, &p->recipe, paths[i]))
			return true;
	return false;
}

static void append(char ***list, size_t *n, const char *path)
{
	*list = xrealloc(*list, (*n + 1) * sizeof(**list));
	(*list)[(*n)++] = xstrdup(path);
}

/* Checking one may remove it, or bring in another: so by path, from a list made before. */
static void check_listed(struct plugins *ps, char **paths, size_t n, uint64_t since_ns, bool quiet)
{
	for (size_t i = 0; i < n; i++) {
		struct plugin *p = find_by_path(ps, paths[i]);

		if (p)
			plugin_check(p, since_ns, quiet);
		free(paths[i]);
	}
	free(paths);
}

static size_t list_touched(struct plugins *ps, const char *const *paths, size_t n, char ***ret)
{
	struct plugin *p;
	char **touched = NULL;
	size_t n_touched = 0;

	LIST_FOREACH(p, &ps->list, entry)
		if (touches(p, paths, n))
			append(&touched, &n_touched, p->path);
	*ret = touched;
	return n_touched;
}

void plugins_scan(struct plugins *ps, uint64_t since_ns)
{
	char **paths, **known;
	size_t n, n_known;

	if (!ps->builder)
		return; /* the server ends */
	if (!file_is_directory(ps->root))
		return; /* gone or moved: watch tells, and asks again when it is back */
	n = list_root(ps->root, &paths);
	n_known = list_touched(ps, &ps->root, 1, &known);
	check_listed(ps, known, n_known, since_ns, true);
	for (size_t i = 0; i < n; i++) {
		if (!find_by_path(ps, paths[i]))
			plugins_add(ps, paths[i], since_ns);
		free(paths[i]);
	}
	free(paths);
	ps->scanned = true;
}

/* The child of the root that @path is or lies in; free(). NULL: the root itself. */
static char *child_of_root(const struct plugins *ps, const char *path)
{
	size_t n = strlen(ps->root);
	const char *end;

	if (!path_is_below(path, ps->root) || path[n] != '/')
		return NULL;
	end = strchr(path + n + 1, '/');
	return end ? xstrndup(path, (size_t)(end - path)) : xstrdup(path);
}

void plugins_changed(struct plugins *ps, const char *const *paths, size_t n, uint64_t since_ns)
{
	char **touched;
	size_t n_touched = list_touched(ps, paths, n, &touched);

	check_listed(ps, touched, n_touched, since_ns, false);
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *child = child_of_root(ps, paths[i]);

		if (child && is_candidate(child) && !find_by_path(ps, child))
			plugins_add(ps, child, since_ns);
	}
}

void plugins_check(struct plugins *ps, const char *name)
{
	struct plugin *p;
	char **named = NULL;
	size_t n = 0;

	LIST_FOREACH(p, &ps->list, entry)
		if (strcmp(p->name, name) == 0)
			append(&named, &n, p->path);
	if (n)
		check_listed(ps, named, n, clock_ns(), true);
	else
		plugins_scan(ps, clock_ns());
}
