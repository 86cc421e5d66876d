/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Toolchain
 *
 * The compilers and linkers of this machine: where they are, what they are (so that an
 * object of another compiler is not taken for one of ours), and how to run them without
 * their drivers. What has to be asked of a compiler is asked once and kept in the store.
 */

#include <stdbool.h>

#include "base/hash.h"
#include "build/language.h"
#include "build/linking.h"
#include "build/words.h"

enum family { FAMILY_OTHER, FAMILY_GCC, FAMILY_CLANG, FAMILY_NVCC };

struct compiler {
	struct words command; /* the program's path, and words of the user's own: CC="ccache gcc" */
	enum family family;
	const char *name;     /* "gcc", "g++", "clang", "clang++", "nvcc" or the program's */
	struct hash identity; /* of the program, its surroundings and our flags */
	struct words flags;   /* of every compilation */
	struct words cc1, as; /* see driver.h; empty: the driver must be run */
};

struct toolchain {
	struct compiler cc, cxx, nvcc; /* command.n is 0 where there is none */
	bool has_gpu;
	struct linking linking;
	char *include_dir, *root;
	char *cuda_directory; /* lib64 of the toolkit */
	struct hash machine;  /* of the CPU model and the environment that compilers read */
};

/* Finds the programs; runs none. @include_dir and @root are searched for headers. */
void toolchain_init(struct toolchain *t, const char *include_dir, const char *root);
void toolchain_fini(struct toolchain *t);

/* The compiler for @l, or NULL. */
struct compiler *toolchain_compiler(struct toolchain *t, enum language l);

/* Take in what the drivers answered (probe.c); "" where one was not asked. */
void toolchain_learn(struct toolchain *t, const char *cc, const char *cxx, const char *link);

/* The flags that a gcc would get. */
void toolchain_gcc_flags(const struct toolchain *t, bool cxx, struct words *ret);
