/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Protocol
 *
 * What devserve-watch writes to its standard output, a pipe, and all it shares with the
 * server. A record is a letter, text, and a NUL. Text is a path below the root, relative to
 * it and without escapes (a path can hold any byte but NUL), or a sentence. Records come in
 * the order of the events; a read may end in the middle of one. Nothing goes the other way:
 * the watcher ends when the other end of the pipe is closed.
 */

enum watch_record {
	WATCH_READY = 'R',    /* "": watched from here on; of what was before, nothing is known */
	WATCH_PATH = 'P',     /* path: written, appeared or vanished */
	WATCH_BEGUN = 'B',    /* path: made, and will be told as WATCH_PATH once it is written */
	WATCH_OVERFLOW = 'O', /* "": events were lost, the tree is watched anew: as WATCH_READY */
	WATCH_NOTICE = 'N',   /* sentence: for the author */
};

/* No record is longer. */
#define WATCH_RECORD_SIZE 8192

/* Exit status: the root is no directory, or no longer the one that it was. */
#define WATCH_EXIT_NO_ROOT 3
