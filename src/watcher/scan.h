/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/*
 * Scan
 *
 * What there is in a directory, as far as it matters (watch/filter.h).
 */

enum scan_kind {
	SCAN_FILE,      /* its name is on the allow-list */
	SCAN_DIRECTORY, /* a real one, to be entered */
	SCAN_LINK,      /* a symbolic link to something */
};

/* Anything but 0 ends the scan and is its result. */
typedef int (*scan_fn)(void *context, const char *path, const char *name, enum scan_kind kind);

/* One level, in no order. 0, what @fn returned, or -errno. */
int scan(const char *directory, scan_fn fn, void *context);
