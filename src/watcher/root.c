/* SPDX-License-Identifier: GPL-2.0-only */
#include "watcher/root.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

int root_init(struct root *r, const char *given)
{
	struct stat st;
	char *path = realpath(given, NULL);

	if (!path)
		return -errno;
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		free(path);
		return -ENOTDIR;
	}
	*r = (struct root){ given, path, st.st_dev, st.st_ino };
	return 0;
}

void root_fini(struct root *r)
{
	free(r->path);
}

bool root_is_there(const struct root *r)
{
	struct stat st;

	return stat(r->given, &st) == 0 && S_ISDIR(st.st_mode) && st.st_dev == r->device &&
	       st.st_ino == r->inode;
}
