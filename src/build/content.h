/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Content
 *
 * Hashes of files by path, kept as long as the file looks the same (mtime and ctime in
 * nanoseconds, size, inode). A file that changed within the last milliseconds is hashed
 * anew every time: its timestamps are too coarse to tell another write.
 */

#include <stdint.h>

#include "base/hash.h"

struct contents;

struct contents *contents_new(void);
struct contents *contents_free(struct contents *c);

/* 0 or -errno. */
int contents_hash(struct contents *c, const char *path, struct hash *ret);

/*
 * The same, where a compiler read the file at some time after @since (clock_wall_ns()):
 * -ESTALE if it may have seen another content.
 */
int contents_hash_since(struct contents *c, const char *path, uint64_t since, struct hash *ret);
