/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Identity
 *
 * Which code and data an image brings into a process, whatever its debug information says: a
 * save that moves lines, or comments on them, makes another file with the same identity.
 */

#include "base/hash.h"

struct elf;

/* Never zero but by a chance of 1 in 2^128. */
struct hash elf_identity(const struct elf *e);

/* The same of device code that lies beside an image: a pack (base/pack.h) of cubins. 0 or -errno. */
int device_identity(const char *path, struct hash *ret);
