/* SPDX-License-Identifier: GPL-2.0-only */
#include "watcher/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "watch/filter.h"

/* Some file systems don't tell in readdir(). */
static unsigned char type_of(DIR *directory, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type;
	if (fstatat(dirfd(directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return DT_UNKNOWN;
	return S_ISDIR(st.st_mode) ? DT_DIR : S_ISLNK(st.st_mode) ? DT_LNK : DT_REG;
}

static int visit(DIR *directory, const char *where, const struct dirent *entry, scan_fn fn,
		 void *context)
{
	unsigned char type = type_of(directory, entry);
	_cleanup_free_ char *path = NULL;
	enum scan_kind kind;

	if (type == DT_DIR && filter_enters_directory(entry->d_name))
		kind = SCAN_DIRECTORY;
	else if (type != DT_DIR && filter_wants_file(entry->d_name))
		kind = SCAN_FILE;
	else if (type == DT_LNK && filter_enters_directory(entry->d_name))
		kind = SCAN_LINK;
	else
		return 0;
	path = path_join(where, entry->d_name);
	return fn(context, path, entry->d_name, kind);
}

int scan(const char *where, scan_fn fn, void *context)
{
	DIR *directory = opendir(where);
	const struct dirent *entry;
	int r = 0;

	if (!directory)
		return -errno;
	while (r == 0 && (entry = readdir(directory)))
		r = visit(directory, where, entry, fn, context);
	closedir(directory);
	return r;
}
