/* SPDX-License-Identifier: MIT */
#include "history/kept.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

static char *directory_of(const char *state_dir)
{
	return path_join(state_dir, "kept");
}

char *kept_path(const char *state_dir, struct hash h, const char *suffix)
{
	char text[HASH_TEXT_SIZE];

	hash_text(h, text);
	return xasprintf("%s/kept/%s%s", state_dir, text, suffix);
}

int kept_add(const char *state_dir, struct hash h, const char *suffix, const char *path)
{
	_cleanup_free_ char *directory = directory_of(state_dir), *to = kept_path(state_dir, h, suffix);
	_cleanup_free_ char *new = xasprintf("%s.new", to);
	int r = file_make_directories_from(state_dir, directory);

	if (r < 0 || link(path, to) == 0 || errno == EEXIST)
		return r;
	unlink(new); /* no second names here, or the store is elsewhere */
	r = file_copy(path, new);
	if (r == 0 && rename(new, to) < 0)
		r = -errno;
	if (r < 0)
		unlink(new);
	return r;
}

int kept_check(const char *state_dir, struct hash h, const char *suffix)
{
	_cleanup_free_ char *path = kept_path(state_dir, h, suffix);
	struct hash found;

	if (hash_file(path, &found) < 0)
		return -ENOENT;
	if (hash_equal(found, h))
		return 0;
	unlink(path);
	return -ENOENT;
}

int kept_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

size_t kept_list(const char *state_dir, char ***ret)
{
	_cleanup_free_ char *directory = directory_of(state_dir);
	DIR *d = opendir(directory);
	struct dirent *e;
	char **names = NULL;
	size_t n = 0;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		names = xrealloc(names, (n + 1) * sizeof(*names));
		names[n++] = xstrdup(e->d_name);
	}
	if (d)
		closedir(d);
	if (n)
		qsort(names, n, sizeof(*names), kept_compare);
	*ret = names;
	return n;
}

void kept_trim(const char *state_dir, char *const *names, size_t n)
{
	char **there;
	size_t n_there = kept_list(state_dir, &there);

	for (size_t i = 0; i < n_there; i++) {
		_cleanup_free_ char *path = xasprintf("%s/kept/%s", state_dir, there[i]);

		if (!n || !bsearch(&there[i], names, n, sizeof(*names), kept_compare))
			unlink(path);
		free(there[i]);
	}
	free(there);
}
