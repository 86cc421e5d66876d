/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Depfile
 *
 * What a compiler writes for -MD: a rule of make, `target: source header header …`, with
 * make's escapes. Several rules are taken as one.
 */

#include <stddef.h>

struct words;

/* Append the prerequisites in @text to @ret, as the compiler wrote them. -EBADMSG: no rule. */
int depfile_parse(const char *text, size_t size, struct words *ret);
