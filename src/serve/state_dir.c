/* SPDX-License-Identifier: MIT */
#include "serve/state_dir.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "serve/run_file.h"

/* free(); NULL: @path is there. */
static char *topmost_missing(const char *path)
{
	char *top = xstrdup(path);

	if (file_exists(path)) {
		free(top);
		return NULL;
	}
	for (char *slash = top + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (!file_exists(top))
			return top;
		*slash = '/';
	}
	return top;
}

int state_dir_make(const char *path, char **ret_made, struct buffer *why)
{
	char *made = topmost_missing(path);
	int r = file_make_directories(path);

	if (r < 0) {
		buffer_printf(why, "cannot make %s: %s; choose another place with --state-dir", path, strerror(-r));
		free(made);
		return r;
	}
	*ret_made = made;
	return 0;
}

/* What it lies in goes only where it is empty. */
void state_dir_take_back(const char *path, const char *made)
{
	_cleanup_free_ char *at = xstrdup(path);
	char url[256];
	size_t top = strlen(made);

	if (run_file_owner(path, url))
		return;
	file_remove_tree(path);
	while (strlen(at) > top) {
		*strrchr(at, '/') = '\0';
		rmdir(at);
	}
}
