/* SPDX-License-Identifier: MIT */
#include "serve/state_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/process.h"
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

/* Of servers that were killed. */
static void remove_leftovers(const char *directory)
{
	DIR *d = opendir(directory);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		_cleanup_free_ char *path = path_join(directory, e->d_name);
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

		if (pid > 0 && !process_is_alive(pid))
			file_remove_tree(path);
	}
	if (d)
		closedir(d);
}

int state_dir_open(struct state_dir *ret, char *path, struct buffer *why)
{
	_cleanup_free_ char *generations = path_join(path, "generations");
	struct state_dir s = { .path = path, .made = topmost_missing(path) };
	int r = file_make_directories(path);

	if (r < 0) {
		buffer_printf(why, "cannot make %s: %s; choose another place with --state-dir", path, strerror(-r));
		free(s.made);
		free(path);
		return r;
	}
	s.fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	s.own = xasprintf("/proc/self/fd/%d", s.fd);
	remove_leftovers(generations);
	s.generations = xasprintf("%s/%d", generations, getpid());
	*ret = s;
	return 0;
}

void state_dir_remove_run_file(const struct state_dir *s, const char *token)
{
	if (s->path && token[0]) {
		run_file_remove(s->path, token);
		run_file_remove(s->own, token);
	}
}

static void remove_generations(const struct state_dir *s)
{
	if (s->generations)
		file_remove_tree(s->generations);
}

/* What it lies in goes only where it is empty. */
static void remove_made(const struct state_dir *s)
{
	_cleanup_free_ char *at = xstrdup(s->path);
	char url[256];
	size_t top = strlen(s->made);

	if (run_file_owner(s->path, url))
		return;
	file_remove_tree(s->path);
	while (strlen(at) > top) {
		*strrchr(at, '/') = '\0';
		rmdir(at);
	}
}

void state_dir_take_back(const struct state_dir *s)
{
	remove_generations(s);
	if (s->made)
		remove_made(s);
}

void state_dir_close(struct state_dir *s)
{
	if (!s->path)
		return;
	remove_generations(s);
	close(s->fd);
	free(s->generations);
	free(s->made);
	free(s->own);
	free(s->path);
	*s = (struct state_dir){ .path = NULL };
}
