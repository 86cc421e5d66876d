/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Compiler
 *
 * One program that makes objects, and how we run it.
 */

#include <stdbool.h>

#include "base/hash.h"
#include "build/words.h"

enum family { FAMILY_OTHER, FAMILY_GCC, FAMILY_CLANG, FAMILY_NVCC, FAMILY_NVRTC };

struct compiler {
	struct words command; /* the program's path, and words of the user's own: CC="ccache gcc" */
	enum family family;
	const char *name;     /* "gcc", "g++", "clang", "clang++", "nvcc", "nvrtc" or the program's */
	char version[96];     /* the line in which it says what it is; "" where it wasn't asked */
	struct hash identity; /* of the program, its surroundings and our flags */
	struct words flags;   /* of every compilation */
	struct words cc1, as; /* see driver.h; empty: the driver must be run */
};

/* Make @c run @command, if its first word is a program. NULL is none. */
bool compiler_use(struct compiler *c, const char *command);
void compiler_fini(struct compiler *c);
