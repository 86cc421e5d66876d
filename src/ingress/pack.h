/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Pack
 *
 * A stream of gzip or deflate that is being made; 270 KiB, whatever goes through it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "ingress/coding.h"

struct buffer;
struct pack;

/* @level: zlib's, 1 (quick) … 9. NULL: there is no memory. */
struct pack *pack_new(enum coding c, int level);
struct pack *pack_free(struct pack *p);

/* Begin anew, with the same coding and level. */
void pack_reset(struct pack *p);
enum coding pack_coding(const struct pack *p);

/* Append what becomes of @bytes to @to; @last: nothing follows. */
void pack_add(struct pack *p, const void *bytes, size_t size, bool last, struct buffer *to);
