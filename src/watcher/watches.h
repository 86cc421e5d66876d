/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/*
 * Watches
 *
 * The directories that inotify tells of, by path and by watch descriptor. One object a
 * process: libinotifytools below it is static.
 */

#include <stdbool.h>
#include <stddef.h>

struct inotify_event;

enum {
	_WATCHES_E_SUCCESS,

	WATCHES_E_KNOWN, /* watched under that path already, without a gap */
};

struct watches_entry {
	char *key; /* the path and a '/', so that what is below sorts right behind */
	int wd;
};

struct watches {
	int fd; /* readable when there are events; close-on-exec, non-blocking */
	struct watches_entry *entries; /* sorted by key */
	size_t n_entries, room;
};

/* 0; -EMFILE: fs.inotify.max_user_instances; or another -errno. */
int watches_init(struct watches *w);
void watches_fini(struct watches *w);

/*
 * Watch the directory @path, which is what realpath() would say. What was in it before is
 * the caller's to find, afterwards. 0, WATCHES_E_KNOWN, or -errno (-ENOSPC: the limit
 * fs.inotify.max_user_watches; -ENOENT, -ENOTDIR: gone meanwhile). A watch that had another
 * path, or the path with another directory, is dropped with all below.
 */
int watches_add(struct watches *w, const char *path);

/* The same, but what is watched below @path already stays. */
int watches_add_alone(struct watches *w, const char *path);

/* End the watches of @path and of everything below. None is fine. */
void watches_drop(struct watches *w, const char *path);

bool watches_have(const struct watches *w, const char *path);

/* What an event is about; free(). NULL if its watch was dropped. */
char *watches_path(const struct watches *w, const struct inotify_event *event);
