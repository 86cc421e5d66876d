/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * State directory
 *
 * A server's place for what outlives it. Made at the start, with what it lies in; a start that
 * fails takes it back, if it made it.
 */

struct buffer;

struct state_dir { /* all zero: not open; the functions below do nothing then */
	char *path;
	char *own;         /* the same by its descriptor, wherever it has been moved to */
	char *generations; /* a directory of this process alone in it, made by whoever needs it */
	char *made;        /* the topmost part of @path that was missing; NULL: none */
	int fd;
};

/* @path: state_directory() made it; freed by us. 0 or -errno, with a sentence. */
int state_dir_open(struct state_dir *ret, char *path, struct buffer *why);

/* Remove run.json if it has that token, from where the directory is and from where it was. */
void state_dir_remove_run_file(const struct state_dir *s, const char *token);

/* The start failed. Somebody may have come to use what we made meanwhile: then it stays. */
void state_dir_take_back(const struct state_dir *s);

/* Remove this process's own part, and free the rest. */
void state_dir_close(struct state_dir *s);
