/* SPDX-License-Identifier: GPL-2.0-only */

/*
 * libinotifytools maps watch descriptors to names. It was measured and read before it was
 * used, and this is what the rest of this file comes from:
 *
 *  - It hides its descriptor, which is neither close-on-exec nor non-blocking, and its
 *    next_event() waits for whole seconds and can't poll. main() closes all descriptors
 *    but 0, 1, 2, so the one that /proc/self/fd calls inotify is the library's; events are
 *    read from it by ourselves (events.c).
 *  - It adds a watch that it has a second time under a second name, and forgets the first
 *    half. A directory that was moved has one descriptor under two names until we have read
 *    of the move, so the kernel is asked first and the names are compared.
 *  - It can't list what is below a directory, so we keep the paths sorted.
 *  - It doesn't let go of a watch that the kernel has ended by itself, as it does for each
 *    directory that is deleted: inotify_rm_watch() then fails with EINVAL, and the entry
 *    stays for ever. So the library is given an inotify_rm_watch() that takes "there is no
 *    such watch" for success, which it is. The linker finds ours before libc's.
 *  - Its names end with '/', unless the directory vanished while it was being added.
 */

#include "watcher/watches.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inotifytools/inotify.h>
#include <inotifytools/inotifytools.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/memory.h"

/* No IN_MODIFY: a file matters when it is closed. Directories only, and no link's target. */
#define MASK                                                                                     \
	(IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF | \
	 IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK)

__attribute__((visibility("default"))) int inotify_rm_watch(int fd, int wd)
{
	int r = (int)syscall(SYS_inotify_rm_watch, fd, wd);

	return r < 0 && errno == EINVAL ? 0 : r;
}

static int find_descriptor(void)
{
	DIR *directory = opendir("/proc/self/fd");
	const struct dirent *entry;
	int fd = -ENOENT;

	if (!directory)
		return -errno;
	while (fd < 0 && (entry = readdir(directory))) {
		char target[64] = "";

		if (readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1) > 0 &&
		    strcmp(target, "anon_inode:inotify") == 0)
			fd = (int)strtol(entry->d_name, NULL, 10);
	}
	closedir(directory);
	return fd;
}

int watches_init(struct watches *w)
{
	int fd;

	if (!inotifytools_initialize())
		return -inotifytools_error();
	fd = find_descriptor();
	if (fd >= 0 && (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0))
		fd = -errno;
	if (fd < 0) {
		inotifytools_cleanup();
		return fd;
	}
	*w = (struct watches){ .fd = fd };
	return 0;
}

void watches_fini(struct watches *w)
{
	for (size_t i = 0; i < w->n_entries; i++)
		free(w->entries[i].key);
	free(w->entries);
	inotifytools_cleanup();
	*w = (struct watches){ .fd = -1 };
}

/* The first entry that isn't before @key. */
static size_t lower_bound(const struct watches *w, const char *key)
{
	size_t low = 0, high = w->n_entries;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(w->entries[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void insert(struct watches *w, char *key, int wd)
{
	size_t at = lower_bound(w, key);

	if (w->n_entries == w->room) {
		w->room = w->room ? w->room * 2 : 64;
		w->entries = xrealloc(w->entries, w->room * sizeof(*w->entries));
	}
	memmove(&w->entries[at + 1], &w->entries[at], (w->n_entries - at) * sizeof(*w->entries));
	w->entries[at] = (struct watches_entry){ .key = key, .wd = wd };
	w->n_entries++;
}

static void drop_range(struct watches *w, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++) {
		inotifytools_remove_watch_by_wd(w->entries[i].wd);
		free(w->entries[i].key);
	}
	if (first == end)
		return;
	memmove(&w->entries[first], &w->entries[end], (w->n_entries - end) * sizeof(*w->entries));
	w->n_entries -= end - first;
}

/* @key and what is below it. */
static void drop_key(struct watches *w, const char *key)
{
	size_t first = lower_bound(w, key), end = first, size = strlen(key);

	while (end < w->n_entries && strncmp(w->entries[end].key, key, size) == 0)
		end++;
	drop_range(w, first, end);
}

static void drop_key_alone(struct watches *w, const char *key)
{
	size_t at = lower_bound(w, key);

	if (at < w->n_entries && strcmp(w->entries[at].key, key) == 0)
		drop_range(w, at, at + 1);
}

void watches_drop(struct watches *w, const char *path)
{
	_cleanup_free_ char *key = xasprintf("%s/", path);

	drop_key(w, key);
}

bool watches_have(const struct watches *w, const char *path)
{
	_cleanup_free_ char *key = xasprintf("%s/", path);
	size_t at = lower_bound(w, key);

	return at < w->n_entries && strcmp(w->entries[at].key, key) == 0;
}

static int add(struct watches *w, const char *path, void (*drop)(struct watches *w, const char *key))
{
	char *key = xasprintf("%s/", path);
	_cleanup_free_ char *before = NULL;
	int wd = inotify_add_watch(w->fd, path, MASK), r = 0;

	if (wd < 0)
		r = -errno;
	else
		before = xstrdup(inotifytools_filename_from_wd(wd));
	if (before && strcmp(before, key) == 0)
		r = WATCHES_E_KNOWN;
	if (r)
		goto free_key;

	if (*before)
		drop_key(w, before);
	drop(w, key);
	if (!inotifytools_watch_file(path, MASK)) {
		r = -inotifytools_error();
		goto free_key;
	}
	wd = inotifytools_wd_from_filename(key);
	if (wd < 0) {
		inotifytools_remove_watch_by_filename(path);
		r = -ENOENT;
		goto free_key;
	}
	insert(w, key, wd);
	return 0;

free_key:
	free(key);
	return r;
}

int watches_add(struct watches *w, const char *path)
{
	return add(w, path, drop_key);
}

int watches_add_alone(struct watches *w, const char *path)
{
	return add(w, path, drop_key_alone);
}

char *watches_path(const struct watches *w, const struct inotify_event *event)
{
	const char *key = event->wd >= 0 ? inotifytools_filename_from_wd(event->wd) : "";

	(void)w;
	if (!key || !*key)
		return NULL;
	if (event->len)
		return xasprintf("%s%s", key, event->name);
	return xstrndup(key, strlen(key) - 1);
}
