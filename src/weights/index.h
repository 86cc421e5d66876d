/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Index
 *
 * Writes what workers read of a set of weights (ring/weights_index.h).
 */

#include <stddef.h>
#include <stdint.h>

struct header;

struct index_source {
	const char *name;     /* of the file, for people */
	const char *snapshot; /* path */
	uint64_t size;
	const struct header *header;
};

/* 0 or -errno. */
int index_write(const char *path, const struct index_source *sources, size_t n);
