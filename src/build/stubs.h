/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Stubs
 *
 * A stub is a shared library without code, made for one link: the symbols that this link
 * needs of the real one, with their versions, and its name. A linker makes the same image
 * of it, in a tenth of the time.
 */

#include "base/buffer.h"

struct words;

/*
 * For each of @libraries that exports one of @names, write a stub below the new directory
 * @directory and append its path to @ret. -errno and a sentence in @why.
 */
int stubs_make(const struct words *libraries, const struct words *names, const char *directory,
	       struct words *ret, struct buffer *why);
