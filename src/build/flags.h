/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Flags
 *
 * Which of an author's flags (cflags of deployment.yaml) which compiler gets. One list is for all
 * sources of a deployment, and their compilers know different ones: a flag that only nvcc and
 * NVRTC know is kept from gcc and clang, what nvcc doesn't know it hands to its host compiler, and
 * NVRTC gets what it knows. What no table here has is the host compiler's, so that a
 * misspelt one is refused by it.
 */

#include <stddef.h>
#include <sys/types.h>

#include "build/compiler.h"

struct buffer;

/*
 * What can be said against @cflags (or NULL) before a compiler reads them: appends a sentence and
 * returns the index of the flag that it is about. -1: nothing.
 */
ssize_t flags_find_mistake(char *const *cflags, struct buffer *why);

/* Append those of @cflags (or NULL) that a compiler of @family gets, as it wants them. */
void flags_add(enum family family, char *const *cflags, struct words *ret);

/*
 * Append @c's own flags of every compilation, for flags_add() to follow: without those in whose
 * place the author's come, such as an architecture.
 */
void flags_add_own(const struct compiler *c, char *const *cflags, struct words *ret);

/* The host compiler that @cflags (or NULL) name to nvcc: a program, or its directory. NULL: none. */
const char *flags_host_compiler(char *const *cflags);

/* Append how a compiler of @family, which is one of CUDA's, is told to compile for "sm_90a". */
void flags_add_architecture(enum family family, const char *architecture, struct words *ret);

/* The one of @cflags that a compiler's @message is about, as far as that shows in it. -1: none. */
ssize_t flags_find_refused(char *const *cflags, const char *message);
