/* SPDX-License-Identifier: GPL-2.0-only */

/*
 * A directory is watched first and read afterwards, and what is found is told as changed:
 * what was put into it before the watch is found, what comes after makes an event, and what
 * does both is told twice, which costs nothing. So `mkdir -p a/b && cp k.c a/b` is complete
 * whenever we come to it, though the kernel tells of `a` alone.
 *
 * Events are old news. When we read "a was made", it may have been moved, deleted and made
 * again. The rule that holds the tree together: MOVED_FROM and DELETE drop what is known
 * below that path, CREATE and MOVED_TO look at what is there now; each change that makes
 * what we saw wrong has an event of its own still to come. Names that inotify has kept for
 * a moved directory can't survive that, and cookies need not be paired.
 *
 * A file that is made is not told, for it is about to be written and IN_CLOSE_WRITE comes.
 * Except for links, hard and symbolic: they are whole at once. (A file that is linked into
 * place from O_TMPFILE looks like neither, and isn't seen.)
 *
 * All watches are on real paths, so that no directory has two names. A symbolic link in the
 * root is a second place to tell (struct link): what happens below its target is told below
 * its name, and below the target's too if that is in the tree. Which links there are is read
 * again after each change in the root itself, and now and then, because a link may lead
 * through others that lie where nothing is watched.
 *
 * A link to a file is told when that file changes: the file's directory is watched, alone, and of
 * what happens there only what concerns the file is told. Where such links lead is looked at again
 * together with the others, and a watch that is new by then may have missed something, so it tells.
 */

#include "watcher/events.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "watch/filter.h"
#include "watcher/file_links.h"
#include "watcher/limits.h"
#include "watcher/links.h"
#include "watcher/root.h"
#include "watcher/scan.h"
#include "watcher/watches.h"
#include "watcher/wire.h"

#define TICK_MS 2000

struct events {
	const struct root *root;
	struct wire *wire;
	struct watches watches;
	struct links links;
	struct file_links file_links;
	bool links_stale;
};

/* How a tree is gone through. */
enum walk {
	WALK_QUIETLY, /* watch it */
	WALK_NEW,     /* watch what isn't watched, and tell that */
	WALK_THROUGH, /* the same, but look for it below what is watched as well */
};

/* One directory of the walk. */
struct visit {
	struct events *events;
	enum walk walk;
	bool tell;
};

/* Telling */

/* The part of @path below @directory; NULL: it isn't. */
static const char *part_below(const char *path, const char *directory)
{
	size_t n = strlen(directory);

	return path_is_below(path, directory) && path[n] ? path + n + 1 : NULL;
}

/* A link may lead into .git or the like, where we wouldn't go ourselves. */
static bool is_hidden(const char *relative)
{
	return relative[0] == '.' || strstr(relative, "/.");
}

/* @path as the tree has it, without links. NULL: it doesn't. */
static const char *part_of_tree(const struct events *e, const char *path)
{
	const char *relative = part_below(path, e->root->path);

	return relative && !is_hidden(relative) ? relative : NULL;
}

/* Below its own name, and that of each link to a directory above it. */
static void tell_place(struct events *e, enum watch_record type, const char *path)
{
	const char *relative = part_of_tree(e, path);

	if (relative)
		wire_tell(e->wire, type, relative);
	for (size_t i = 0; i < e->links.n_links; i++) {
		_cleanup_free_ char *by_link = NULL;

		relative = part_below(path, e->links.all[i].target);
		if (!relative)
			continue;
		by_link = path_join(e->links.all[i].name, relative);
		wire_tell(e->wire, type, by_link);
	}
}

static void tell(struct events *e, enum watch_record type, const char *path)
{
	const struct file_links *f = &e->file_links;

	tell_place(e, type, path);
	for (size_t i = 0; i < f->n_links; i++)
		if (strcmp(f->all[i].target, path) == 0)
			tell_place(e, type, f->all[i].name);
}

/* Not only on the way to a file that a link leads to. */
static bool is_ours(const struct events *e, const char *path)
{
	if (part_of_tree(e, path))
		return true;
	for (size_t i = 0; i < e->links.n_links; i++)
		if (path_is_below(path, e->links.all[i].target))
			return true;
	return false;
}

/* Watching */

static int watch_tree(struct events *e, const char *path, enum walk walk);

static int on_found(void *context, const char *path, const char *name, enum scan_kind kind)
{
	const struct visit *v = context;

	(void)name;
	if (kind == SCAN_DIRECTORY)
		return watch_tree(v->events, path, v->walk);
	if (kind == SCAN_FILE && file_links_look(&v->events->file_links, path))
		v->events->links_stale = true;
	if (kind == SCAN_FILE && v->tell)
		tell(v->events, WATCH_PATH, path);
	return 0;
}

/* A directory that can't be had is no reason to lose the others. */
static int forgive(struct events *e, const char *path, int r)
{
	switch (r) {
	case -ENOSPC:
	case -ENOMEM:
		limits_explain(e->wire, path, r);
		return EVENTS_E_USELESS;
	case -ENOENT:
	case -ENOTDIR:
	case -ELOOP:
	case -ENAMETOOLONG:
		return 0; /* gone meanwhile */
	}
	if (r < 0)
		wire_notice(e->wire, "%s can't be watched: %s. Changes below it are not seen.", path,
			    strerror(-r));
	return r < 0 ? 0 : r;
}

static int watch_tree(struct events *e, const char *path, enum walk walk)
{
	struct visit v = { .events = e, .walk = walk };
	int r = watches_add(&e->watches, path);

	if (r == WATCHES_E_KNOWN && walk == WALK_NEW)
		return 0;
	if (r == 0 && limits_distrust(e->wire, path))
		return EVENTS_E_USELESS;
	v.tell = r == 0 && walk != WALK_QUIETLY;
	if (v.tell)
		tell(e, WATCH_PATH, path);
	if (r >= 0)
		r = scan(path, on_found, &v);
	return forgive(e, path, r);
}

static int watch_all(struct events *e, enum walk walk)
{
	int r = watch_tree(e, e->root->path, walk);

	for (size_t i = 0; i < e->links.n_links && r == 0; i++)
		r = watch_tree(e, e->links.all[i].target, walk);
	return r;
}

/* The directory that @file is in. @ret: it wasn't watched before. */
static int watch_around(struct events *e, const char *file, bool *ret)
{
	size_t size = (size_t)(strrchr(file, '/') - file);
	_cleanup_free_ char *directory = xstrndup(file, size ? size : 1);
	int r = watches_add_alone(&e->watches, directory);

	*ret = r == 0;
	if (r == 0 && limits_distrust(e->wire, directory))
		return EVENTS_E_USELESS;
	return r < 0 ? forgive(e, directory, r) : 0;
}

static int follow_file_links(struct events *e, bool quietly)
{
	for (size_t i = e->file_links.n_links; i-- > 0;) {
		_cleanup_free_ char *name = xstrdup(e->file_links.all[i].name);
		bool leads_elsewhere = file_links_look(&e->file_links, name), is_new;
		int r;

		if (i >= e->file_links.n_links)
			continue; /* that was the last, and it is none any more */
		r = watch_around(e, e->file_links.all[i].target, &is_new);
		if (r)
			return r;
		if (!quietly && (leads_elsewhere || is_new))
			tell_place(e, WATCH_PATH, name);
	}
	return 0;
}

static int start_over(struct events *e)
{
	int r;

	watches_drop(&e->watches, e->root->path);
	for (size_t i = 0; i < e->links.n_links; i++)
		watches_drop(&e->watches, e->links.all[i].target);
	links_fini(&e->links);
	file_links_fini(&e->file_links);
	e->links = links_read(e->root->path);
	r = watch_all(e, WALK_QUIETLY);
	return r == 0 ? follow_file_links(e, true) : r;
}

/* Links that differ from @before are told, and their targets watched or let go. */
static int follow_changed_links(struct events *e, const struct links *before)
{
	bool dropped = false;
	int r = 0;

	for (size_t i = 0; i < before->n_links; i++) {
		if (links_have(&e->links, &before->all[i]))
			continue;
		wire_tell(e->wire, WATCH_PATH, before->all[i].name);
		if (part_of_tree(e, before->all[i].target))
			continue;
		watches_drop(&e->watches, before->all[i].target);
		dropped = true;
	}
	for (size_t i = 0; i < e->links.n_links && r == 0; i++) {
		if (links_have(before, &e->links.all[i]))
			continue;
		wire_tell(e->wire, WATCH_PATH, e->links.all[i].name);
		r = watch_tree(e, e->links.all[i].target, WALK_THROUGH);
	}
	/* Some of what was dropped may belong to another link. */
	return r == 0 && dropped ? watch_all(e, WALK_THROUGH) : r;
}

static int refresh_links(struct events *e)
{
	struct links before = e->links;
	int r;

	e->links_stale = false;
	e->links = links_read(e->root->path);
	r = follow_changed_links(e, &before);
	links_fini(&before);
	return r == 0 ? follow_file_links(e, false) : r;
}

/* Events */

static int on_watched_itself(struct events *e, const char *path, uint32_t mask)
{
	if (strcmp(path, e->root->path) == 0)
		return mask & IN_MOVE_SELF && root_is_there(e->root) ? 0 : EVENTS_E_NO_ROOT;
	if (mask & (IN_IGNORED | IN_UNMOUNT)) {
		watches_drop(&e->watches, path);
		tell(e, WATCH_PATH, path);
	}
	e->links_stale = true;
	return 0;
}

static int on_directory(struct events *e, const char *path, const char *name, uint32_t mask)
{
	if (!filter_enters_directory(name))
		return 0;
	tell(e, WATCH_PATH, path);
	if (!(mask & (IN_CREATE | IN_MOVED_TO)))
		watches_drop(&e->watches, path);
	else if (is_ours(e, path))
		return watch_tree(e, path, WALK_NEW);
	else
		e->links_stale = true;
	return 0;
}

static void on_file(struct events *e, const char *path, const char *name, uint32_t mask)
{
	struct stat st;

	if (!filter_wants_file(name) && !file_links_lead_to(&e->file_links, path))
		return;
	if (mask & ~(uint32_t)IN_CLOSE_WRITE && is_ours(e, path) && file_links_look(&e->file_links, path))
		e->links_stale = true;
	if (!(mask & IN_CREATE)) {
		tell(e, WATCH_PATH, path);
		return;
	}
	if (lstat(path, &st) == 0)
		tell(e, S_ISREG(st.st_mode) && st.st_nlink < 2 ? WATCH_BEGUN : WATCH_PATH, path);
}

static bool is_in_root(const struct events *e, const char *path)
{
	const char *relative = part_below(path, e->root->path);

	return relative && !strchr(relative, '/');
}

static int on_event(struct events *e, const struct inotify_event *event)
{
	_cleanup_free_ char *path = watches_path(&e->watches, event);
	int r;

	if (event->mask & IN_Q_OVERFLOW) {
		r = start_over(e);
		wire_tell(e->wire, WATCH_OVERFLOW, "");
		return r;
	}
	if (!path)
		return 0; /* from a watch that was dropped */
	if (!event->len)
		return on_watched_itself(e, path, event->mask);
	if (event->mask & ~(uint32_t)IN_CLOSE_WRITE && is_in_root(e, path))
		e->links_stale = true;
	if (event->mask & IN_ISDIR)
		return on_directory(e, path, event->name, event->mask);
	on_file(e, path, event->name, event->mask);
	return 0;
}

static int read_events(struct events *e)
{
	char bytes[65536] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t size = read(e->watches.fd, bytes, sizeof(bytes));
	int r = 0;

	if (size < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (const char *at = bytes; at < bytes + size && r == 0;) {
		const struct inotify_event *event = (const void *)at;

		r = on_event(e, event);
		at += sizeof(*event) + event->len;
	}
	return r;
}

static int loop(struct events *e)
{
	struct pollfd fds[] = {
		{ .fd = e->watches.fd, .events = POLLIN },
		{ .fd = STDOUT_FILENO }, /* POLLERR when the other end is closed */
	};
	int r = 0;

	while (r == 0) {
		int n = poll(fds, ARRAY_SIZE(fds), TICK_MS);

		if (n > 0 && fds[1].revents)
			exit(EXIT_SUCCESS);
		if (n > 0)
			r = read_events(e);
		else if (!root_is_there(e->root))
			r = EVENTS_E_NO_ROOT;
		if (r == 0 && (n == 0 || e->links_stale))
			r = refresh_links(e);
		wire_flush(e->wire);
	}
	return r;
}

int events_run(const struct root *root, struct wire *wire)
{
	struct events e = { .root = root, .wire = wire, .links = LINKS_NULL, .file_links = FILE_LINKS_NULL };
	int r = watches_init(&e.watches);

	if (r < 0) {
		limits_explain(wire, root->given, r);
		return EVENTS_E_USELESS;
	}
	r = start_over(&e);
	if (r == 0 && !watches_have(&e.watches, root->path))
		r = root_is_there(root) ? -EACCES : EVENTS_E_NO_ROOT;
	if (r == 0) {
		wire_tell(wire, WATCH_READY, "");
		wire_flush(wire);
		r = loop(&e);
	}
	links_fini(&e.links);
	file_links_fini(&e.file_links);
	watches_fini(&e.watches);
	return r;
}
