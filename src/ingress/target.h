/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Target
 *
 * The request target taken apart: path and query, percent-decoded once.
 */

#include <stddef.h>

struct buffer;

/* Bytes borrowed from somewhere else. */
struct span {
	const char *at;
	size_t size;
};

struct target {
	struct span authority; /* of the absolute form, else empty */
	struct span path;      /* still encoded; "/" at least, or "*" */
	struct span query;     /* without '?' */
};

/* 0, or 400 for what is neither "/path", "http://host/path" nor "*". */
int target_split(struct span raw, struct target *ret);

/*
 * Append @raw, decoded once, to @ret. -1 for a malformed '%', for bytes that no name of ours
 * has (NUL, control bytes, '\', an encoded '/') and for "." and ".." segments.
 */
int target_decode(struct span raw, struct buffer *ret);

/*
 * Append each "key=value" of @query, decoded ('+' is a space), as "key\0value\0". Malformed
 * ones are left out.
 */
void target_decode_query(struct span query, struct buffer *ret);
