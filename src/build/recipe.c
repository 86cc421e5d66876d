/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/tree.h"
#include "build/build.h"
#include "build/language.h"
#include "build/words.h"

enum { MAX_SOURCES = 4096 };

static bool is_source(const char *name)
{
	return language_of(name) != LANGUAGE_NONE;
}

static int on_source(void *context, const char *path)
{
	struct words *sources = context;

	if (sources->n == MAX_SOURCES)
		return -E2BIG;
	words_add(sources, path);
	return 0;
}

int recipe_scan(const char *name, const char *path, struct recipe *ret)
{
	_cleanup_words_ struct words sources = WORDS_NULL;
	struct stat st;
	int r = 0;

	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		r = tree_find(path, is_source, on_source, &sources);
	else if (is_source(path))
		words_add(&sources, path);
	if (r == 0 && !sources.n)
		r = -ENOENT;
	if (r < 0)
		return r;
	words_sort(&sources);
	*ret = (struct recipe){ .name = xstrdup(name), .path = xstrdup(path),
				.sources = sources.at, .n_sources = sources.n };
	sources = (struct words)WORDS_NULL;
	return 0;
}

static void free_list(char **list)
{
	for (char **s = list; s && *s; s++)
		free(*s);
	free(list);
}

void recipe_fini(struct recipe *r)
{
	free(r->name);
	free(r->path);
	free_list(r->sources);
	free_list(r->cflags);
	free_list(r->ldlibs);
	*r = (struct recipe){ .name = NULL };
}
