/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Watch
 *
 * Tells which files below a root changed, after things have settled. The events come
 * from `devserve-watch`, a process of its own (watch/protocol.h is all the two share);
 * when it dies it is started again and everything is reported as changed.
 *
 * Settling: a batch is delivered 10 ms after the last event; when more than 20 paths
 * change, after 200 ms of rest; at the latest 2 s after the first (a checkout). A file that
 * vanished and is being made again is waited for, up to these 2 s.
 * Directories whose name starts with '.' are never entered, and paths are filtered by an
 * allow-list of suffixes (watch/filter.h), so that editors' temporaries, swap files and
 * build products are not seen at all.
 *
 * A symbolic link in the root itself that leads to a directory is followed, wherever that
 * is, and so are changes of where it leads; what is below has the link's name. Links further
 * down, and links to the root or above it, are not. A link to a file, anywhere, has its own name, and
 * is told when the link changes or the file behind it does.
 *
 * Not seen: writing through another hard link, through mmap() before the file is closed,
 * chmod, and headers without a suffix. Where the kernel tells nothing of changes (network
 * file systems) or can't watch any more, files are compared every 500 ms and a notice says so.
 */

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct watch;

struct watch_batch {
	/*
	 * Absolute paths that were written, appeared or vanished: files on the
	 * allow-list, and directories that came or went (with everything below).
	 * Sorted, without doubles. Content may be the same as before: compare hashes.
	 */
	const char *const *paths;
	size_t n_paths;
	bool everything;  /* trust nothing: scan the whole root (first start, overflow, restart) */
	bool overflow;    /* …because the kernel's queue ran over */
	uint64_t first_ns; /* monotonic time of the batch's first event */
};

struct watch_callbacks {
	void (*changed)(void *context, const struct watch_batch *batch);
	/* Something the author should read, with the way out (limits, polling, restarts). */
	void (*notice)(void *context, const char *sentence);
	void *context;
};

struct watch_options {
	const char *root;      /* absolute, normalised */
	unsigned settle_ms;    /* 10 */
	bool poll;             /* don't trust events: compare every 500 ms */
};

/*
 * 0 or -errno. The first batch has `everything` set and comes as soon as the whole tree is
 * watched: what is read after it is never missed.
 */
int watch_start(uv_loop_t *loop, const struct watch_options *o, const struct watch_callbacks *cb,
		struct watch **ret);

/* Ends the process; no callback afterwards. The memory goes when its handles are closed. */
void watch_stop(struct watch *w);
