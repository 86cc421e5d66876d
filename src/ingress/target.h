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
 * A path as it is meant: @raw itself where nothing in it is encoded, else decoded, once, into
 * @scratch. -1 for a malformed '%', for bytes that no name of ours has (NUL, control bytes,
 * '\', an encoded '/', what isn't UTF-8) and for "." and ".." segments.
 */
int target_resolve(struct span raw, struct buffer *scratch, struct span *ret);

/*
 * Append each "key=value" of @query, decoded ('+' is a space), as "key\0value\0". Malformed
 * ones are left out.
 */
void target_decode_query(struct span query, struct buffer *ret);
