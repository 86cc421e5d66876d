/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * State directory
 *
 * Made at the start, with what it lies in; a start that fails takes it back, if it made it.
 */

struct buffer;

/* 0 or -errno, with a sentence. @ret_made: the topmost directory that was missing; NULL: none. free(). */
int state_dir_make(const char *path, char **ret_made, struct buffer *why);

/* Nobody may have come to use it meanwhile: then it stays. */
void state_dir_take_back(const char *path, const char *made);
