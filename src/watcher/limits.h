/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/*
 * Limits
 *
 * Why inotify can't be used, in words that tell the way out.
 */

struct wire;

/*
 * What the directory is on, if changes there don't all come from this kernel ("NFS"); NULL
 * where events can be trusted.
 */
const char *limits_file_system(const char *directory);

/* A notice: no watch for @path because of @r, -errno; polling from now on. */
void limits_explain(struct wire *wire, const char *path, int r);
