/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Coding
 *
 * What a body may be packed in, by the names that HTTP has for it.
 */

#include <stdbool.h>

#include "ingress/target.h"

/* gzip is RFC 1952; deflate is, in spite of its name, the zlib format of RFC 1950. */
enum coding {
	CODING_IDENTITY,
	CODING_GZIP,
	CODING_DEFLATE,
	CODING_UNKNOWN, /* or several, one in another */
};

#define CODINGS CODING_UNKNOWN /* how many are known */

/* NULL for identity. */
const char *coding_name(enum coding c);

/* Of a Content-Encoding field; an empty one means identity. */
enum coding coding_of(struct span value);

/* What a client takes, from its Accept-Encoding fields: weights in thousandths, -1: not named. */
struct coding_wish {
	int weight[CODINGS];
	unsigned place[CODINGS]; /* in the list */
	int others;              /* '*' */
	unsigned n;
};

#define CODING_WISH_NULL { .weight = { -1, -1, -1 }, .others = -1 }

/* Add the list of one field. Members that are malformed don't count. */
void coding_wish_read(struct coding_wish *w, struct span value);

/* The best of what we know, the first of equals; CODING_UNKNOWN: the client takes nothing of it. */
enum coding coding_wish_best(const struct coding_wish *w);

/* Whether an answer that isn't packed will do. */
bool coding_wish_takes_plain(const struct coding_wish *w);
