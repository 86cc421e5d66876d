/* SPDX-License-Identifier: GPL-2.0-only */

/*
 * A snapshot is what stat() says of all that matters, sorted by path; two of them are merged
 * to find what differs. A file that was written within the clock's grain of the look can be
 * written again without a change of its stamp, so it counts as changed at the next look, too
 * (git calls such entries racy).
 */

#include "watcher/polling.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "watcher/root.h"
#include "watcher/scan.h"
#include "watcher/wire.h"

#define INTERVAL_MS 500
#define GRAIN_NS (20 * NS_PER_MS)

struct look {
	char *path;           /* relative */
	uint64_t modified_ns; /* 0: unsure, or a directory */
	uint64_t size;
	uint64_t inode;
};

struct snapshot {
	const struct root *root;
	struct look *looks;
	size_t n_looks, room;
};

static void snapshot_fini(struct snapshot *s)
{
	for (size_t i = 0; i < s->n_looks; i++)
		free(s->looks[i].path);
	free(s->looks);
}

static void add(struct snapshot *s, const char *path, const struct stat *st)
{
	uint64_t modified = (uint64_t)st->st_mtim.tv_sec * NS_PER_S + (uint64_t)st->st_mtim.tv_nsec;
	bool directory = S_ISDIR(st->st_mode);

	if (directory || modified + GRAIN_NS > clock_wall_ns())
		modified = 0;
	if (s->n_looks == s->room) {
		s->room = s->room ? s->room * 2 : 256;
		s->looks = xrealloc(s->looks, s->room * sizeof(*s->looks));
	}
	s->looks[s->n_looks++] = (struct look){
		.path = xstrdup(path + strlen(s->root->path) + 1),
		.modified_ns = modified,
		.size = directory ? 0 : (uint64_t)st->st_size,
		.inode = st->st_ino,
	};
}

/* As links_read() has it: from the root, to a directory, but not to above the root. */
static bool is_followed(const struct snapshot *s, const char *path)
{
	_cleanup_free_ char *target = NULL;

	if (strchr(path + strlen(s->root->path) + 1, '/'))
		return false;
	target = realpath(path, NULL);
	return target && file_is_directory(target) && !path_is_below(s->root->path, target);
}

static int on_found(void *context, const char *path, const char *name, enum scan_kind kind)
{
	struct snapshot *s = context;
	struct stat st;

	(void)name;
	if (kind == SCAN_LINK && !is_followed(s, path))
		return 0;
	if (stat(path, &st) < 0 && lstat(path, &st) < 0)
		return 0;
	add(s, path, &st);
	if (kind != SCAN_FILE)
		scan(path, on_found, s);
	return 0;
}

static int by_path(const void *a, const void *b)
{
	const struct look *left = a, *right = b;

	return strcmp(left->path, right->path);
}

static struct snapshot snapshot_take(const struct root *root)
{
	struct snapshot s = { .root = root };

	scan(root->path, on_found, &s);
	if (s.n_looks)
		qsort(s.looks, s.n_looks, sizeof(*s.looks), by_path);
	return s;
}

static bool differs(const struct look *a, const struct look *b)
{
	return a->inode != b->inode || a->size != b->size || a->modified_ns != b->modified_ns;
}

static void tell_differences(struct wire *wire, const struct snapshot *old,
			     const struct snapshot *new)
{
	size_t i = 0, j = 0;

	while (i < old->n_looks || j < new->n_looks) {
		int order = i == old->n_looks   ? 1
			    : j == new->n_looks ? -1
						: by_path(&old->looks[i], &new->looks[j]);

		if (order < 0)
			wire_tell(wire, WATCH_PATH, old->looks[i++].path);
		else if (order > 0)
			wire_tell(wire, WATCH_PATH, new->looks[j++].path);
		else if (differs(&old->looks[i++], &new->looks[j++]))
			wire_tell(wire, WATCH_PATH, new->looks[j - 1].path);
	}
}

void polling_run(const struct root *root, struct wire *wire)
{
	struct snapshot last = snapshot_take(root);
	struct pollfd out = { .fd = STDOUT_FILENO };

	wire_tell(wire, WATCH_READY, "");
	wire_flush(wire);
	while (root_is_there(root)) {
		struct snapshot now;

		if (poll(&out, 1, INTERVAL_MS) > 0)
			exit(EXIT_SUCCESS);
		now = snapshot_take(root);
		tell_differences(wire, &last, &now);
		wire_flush(wire);
		snapshot_fini(&last);
		last = now;
	}
	snapshot_fini(&last);
}
