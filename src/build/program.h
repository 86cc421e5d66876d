/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Program
 *
 * Where programs are and what they are.
 */

#include "base/hash.h"

/* As execvp() finds @name in PATH; free(). NULL: it isn't there. */
char *program_find(const char *name);

/*
 * Add the identity of the program or library at @path: where it really lies, its size and
 * its mtime. Adds something else if it isn't there.
 */
void identity_add(struct hash_state *s, const char *path);
