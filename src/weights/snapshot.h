/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Snapshot
 *
 * Our own copy of a weights file, named by its content and never written again: what is
 * mapped must not change, and a file that is cut off under a mapping kills who reads it.
 * Blocks; for a thread beside the loop.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "weights/header.h"

/* What tells one state of a file from another without reading it. */
struct file_look {
	uint64_t device, inode, size, changed_ns, modified_ns;
};

/* 0 or -errno; only of what open() may be asked for: a regular file. */
int file_look(const char *path, struct file_look *ret);

struct snapshot {
	struct file_look look; /* of the file as it was copied */
	struct hash hash;
	uint64_t size;
	char *path; /* of the copy; NULL where `error` says why there is none */
	char *error; /* a sentence */
	bool lasting; /* the error is the content's: the same file gives it again */
	struct header header;
};

void snapshot_fini(struct snapshot *s);

/*
 * Copy @path into @directory. @name is for the sentence. Never fails without `error`; gives up
 * when *@cancelled.
 */
void snapshot_take(const char *path, const char *name, const char *directory, const atomic_bool *cancelled,
		   struct snapshot *ret);
