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

static bool is_weights(const char *name)
{
	return strcmp(path_suffix(name), ".safetensors") == 0;
}

static bool is_wanted(const char *name)
{
	return is_source(name) || is_weights(name);
}

struct found {
	struct words sources, weights;
};

static int on_found(void *context, const char *path)
{
	struct found *f = context;

	if (f->sources.n == MAX_SOURCES)
		return -E2BIG;
	words_add(is_weights(path) ? &f->weights : &f->sources, path);
	return 0;
}

static void found_fini(struct found *f)
{
	words_fini(&f->sources);
	words_fini(&f->weights);
}

int recipe_scan(const char *name, const char *path, struct recipe *ret)
{
	__attribute__((cleanup(found_fini))) struct found f = { WORDS_NULL, WORDS_NULL };
	struct stat st;
	int r = 0;

	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		r = tree_find(path, is_wanted, on_found, &f);
	else if (is_source(path))
		words_add(&f.sources, path);
	if (r == 0 && !f.sources.n)
		r = -ENOENT;
	if (r < 0)
		return r;
	words_sort(&f.sources);
	words_sort(&f.weights);
	*ret = (struct recipe){ .name = xstrdup(name), .path = xstrdup(path),
				.sources = f.sources.at, .n_sources = f.sources.n,
				.weights = f.weights.at ? f.weights.at : xcalloc(1, sizeof(*f.weights.at)) };
	f = (struct found){ WORDS_NULL, WORDS_NULL };
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
	free_list(r->weights);
	free_list(r->cflags);
	free(r->cflag_lines);
	free_list(r->ldlibs);
	free(r->ldlib_lines);
	free_list(r->kernels);
	free(r->kernel_lines);
	*r = (struct recipe){ .name = NULL };
}
