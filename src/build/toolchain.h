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
#include <uv.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "build/language.h"
#include "build/words.h"

struct queue;
struct store;

enum family { FAMILY_OTHER, FAMILY_GCC, FAMILY_CLANG, FAMILY_NVCC };

struct compiler {
	struct words command; /* the program's path, and words of the user's own: CC="ccache gcc" */
	enum family family;
	const char *name;     /* "gcc", "g++", "clang", "clang++", "nvcc" or the program's */
	struct hash identity; /* of the program, its surroundings and our flags */
	struct words flags;   /* of every compilation */
	struct words cc1, as; /* see driver.h; empty: the driver must be run */
};

struct linking { /* all paths absolute; @linker is NULL where we can't link by ourselves */
	char *linker;
	struct words options;
	struct words before, after; /* crti.o crtbeginS.o; libgcc.a libc_nonshared.a crtendS.o crtn.o */
	struct words directories;   /* where libraries are, in the driver's order */
	struct words libraries;     /* what stubs are made of; none is missing here */
	struct hash identity;       /* of the linker and all of these files */
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

struct probing;
typedef void (*probed_fn)(void *context);

/*
 * Learn the rest, from the store or by asking the compilers. @done comes from the loop, or
 * before this returns if nothing had to be asked; then *@ret is NULL.
 */
void toolchain_probe(struct toolchain *t, struct store *s, struct queue *q, probed_fn done,
		     void *context, struct probing **ret);
/* NULL is fine. Returns NULL. */
struct probing *probing_cancel(struct probing *p);

/* Size, mtime and path of what a program or library really is. 0s where it isn't there. */
void identity_add(struct hash_state *s, const char *path);
