/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Kept
 *
 * Images of generations that may serve again, and their device code: files in state_dir/kept/,
 * named by their content, as a rule second names of what lies in the store, which may drop its own
 * meanwhile. Checked when they are asked for.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

/* ".so", ".device" */
#define KEPT_IMAGE ".so"
#define KEPT_DEVICE ".device"

/* Where it is or would be; free(). */
char *kept_path(const char *state_dir, struct hash h, const char *suffix);

/* Keep the file at @path, whose content is @h. 0 or -errno. */
int kept_add(const char *state_dir, struct hash h, const char *suffix, const char *path);

/* 0 where it is there and whole, else -ENOENT. */
int kept_check(const char *state_dir, struct hash h, const char *suffix);

/* Remove all but @names ("HASH.so"), which are sorted. */
void kept_trim(const char *state_dir, char *const *names, size_t n);

/* The names there are, sorted; free() each and the list. */
size_t kept_list(const char *state_dir, char ***ret);

int kept_compare(const void *a, const void *b);
