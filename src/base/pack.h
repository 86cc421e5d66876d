/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Pack
 *
 * Several files in one: each as it is, at a multiple of 16 bytes. All or nothing when it is
 * read: a file that was cut off is none.
 */

#include <stddef.h>
#include <stdint.h>

struct pack {
	char *bytes; /* what parts point into */
	size_t n;
	struct pack_part {
		const void *bytes;
		size_t size;
	} *parts;
};

#define PACK_MAX_PARTS 4096

/* Write the @n files at @paths as one to @path. 0 or -errno. */
int pack_write(const char *path, const char *const *paths, size_t n);

/* 0, or -errno (-EBADMSG: it is none). */
int pack_read(const char *path, struct pack *ret);
void pack_fini(struct pack *p);
