/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Allowed
 *
 * Lists of names that whoever started the server allows beyond its own: hosts that it is
 * called by, origins whose pages may use it. Text, separated by commas; NULL: none.
 */

#include "ingress/target.h"

struct buffer;

#define ALLOWED_MAX_ORIGIN 128 /* bytes */

/* 0, or -EINVAL with a sentence where something in @list is no name of a host … */
int allowed_check_hosts(const char *list, struct buffer *why);

/* … or no origin: "http://localhost:3000", without a path; never "*" or "null". */
int allowed_check_origins(const char *list, struct buffer *why);

/* The one of @list that is @wanted, whatever its case; at NULL: none. Points into @list. */
struct span allowed_find(const char *list, struct span wanted);
