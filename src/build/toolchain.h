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
#include "build/compiler.h"
#include "build/cuda.h"
#include "build/language.h"
#include "build/linking.h"
#include "build/words.h"

struct toolchain {
	struct compiler cc, cxx; /* command.n is 0 where there is none */
	struct cuda cuda;
	struct linking linking;
	char *include_dir, *root;
	struct hash machine;  /* of the CPU model and the environment that compilers read */
};

/* Finds the programs; runs none. @include_dir and @root are searched for headers. */
void toolchain_init(struct toolchain *t, const char *include_dir, const char *root);
void toolchain_fini(struct toolchain *t);

/* The compiler for @l, or NULL. */
struct compiler *toolchain_compiler(struct toolchain *t, enum language l);

/* Take in what the drivers answered (probe.c); "" where one was not asked. */
void toolchain_learn(struct toolchain *t, const char *cc, const char *cxx, const char *link);

/* Take in what devserve-cuda answered, "" while it was not asked: compilers of CUDA become others by it. */
void toolchain_set_device(struct toolchain *t, const char *answer);

/* The flags that a gcc would get. */
void toolchain_gcc_flags(const struct toolchain *t, bool cxx, struct words *ret);
