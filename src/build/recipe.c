/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "build/build.h"
#include "build/language.h"
#include "build/words.h"

enum { MAX_DEPTH = 16, MAX_SOURCES = 4096 };

static int scan(const char *directory, unsigned depth, struct words *ret);

/* Links to files are fine, links to directories may go round in circles. */
static int visit(const char *directory, const struct dirent *e, unsigned depth, struct words *ret)
{
	_cleanup_free_ char *path = path_join(directory, e->d_name);
	struct stat st;

	if (lstat(path, &st) < 0)
		return 0;
	if (S_ISDIR(st.st_mode))
		return scan(path, depth + 1, ret);
	if (language_of(path) == LANGUAGE_NONE || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	if (ret->n == MAX_SOURCES)
		return -E2BIG;
	words_add(ret, path);
	return 0;
}

static int scan(const char *directory, unsigned depth, struct words *ret)
{
	DIR *d = depth > MAX_DEPTH ? NULL : opendir(directory);
	struct dirent *e;
	int r = 0;

	if (!d)
		return depth ? 0 : -errno; /* what can't be read below is not a source */
	while (r == 0 && (e = readdir(d)))
		if (e->d_name[0] != '.' && e->d_name[0] != '#')
			r = visit(directory, e, depth, ret);
	closedir(d);
	return r;
}

int recipe_scan(const char *name, const char *path, struct recipe *ret)
{
	_cleanup_words_ struct words sources = WORDS_NULL;
	struct stat st;
	int r = 0;

	if (stat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		r = scan(path, 0, &sources);
	else if (language_of(path) != LANGUAGE_NONE)
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
