/* SPDX-License-Identifier: MIT */

/* A directory is five system calls here; with a stat for every name it would be twice as slow. */

#include "base/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"

enum { MAX_DEPTH = 16 }; /* below the directory itself */

struct walk {
	tree_wants_fn wants;
	tree_found_fn found;
	void *context;
};

static int walk(const struct walk *w, const char *directory, unsigned depth);

/* Some file systems don't tell in readdir(). */
static bool is_directory(DIR *d, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type == DT_DIR;
	return fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static bool is_file(DIR *d, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN && e->d_type != DT_LNK)
		return e->d_type == DT_REG;
	return fstatat(dirfd(d), e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode);
}

static int visit(const struct walk *w, DIR *d, const char *directory, const struct dirent *e, unsigned depth)
{
	bool enter = is_directory(d, e);
	_cleanup_free_ char *path = NULL;

	if (!enter && (!w->wants(e->d_name) || !is_file(d, e)))
		return 0;
	path = path_join(directory, e->d_name);
	return enter ? walk(w, path, depth + 1) : w->found(w->context, path);
}

static int walk(const struct walk *w, const char *directory, unsigned depth)
{
	DIR *d = depth > MAX_DEPTH ? NULL : opendir(directory);
	struct dirent *e;
	int r = 0;

	if (!d)
		return depth ? 0 : -errno;
	while (r == 0 && (e = readdir(d)))
		if (e->d_name[0] != '.' && e->d_name[0] != '#')
			r = visit(w, d, directory, e, depth);
	closedir(d);
	return r;
}

int tree_find(const char *directory, tree_wants_fn wants, tree_found_fn found, void *context)
{
	const struct walk w = { .wants = wants, .found = found, .context = context };

	return walk(&w, directory, 0);
}
