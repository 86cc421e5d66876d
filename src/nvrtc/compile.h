/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Compile
 *
 * One compilation of device code by NVRTC, in a process that was started before there was
 * anything to compile: the library is loaded and has compiled something trifling by the time a
 * request comes, which makes 25 ms of what would be 100. One process, one compilation: what the
 * compiler leaks, or crashes of, ends with it, and a stale one is killed like any compiler.
 *
 * The request comes through descriptor 3, words that each end with NUL, then the end of the file:
 *
 *	SOURCE OBJECT DEPENDS TIME-LIMIT-MS OPTION…
 *
 * An OPTION --devserve-kernel=EXPRESSION names a kernel that is to be compiled (names.h).
 *
 * The cubin is written to OBJECT, what was read to DEPENDS in make's language, what the compiler
 * says to stderr. An end of the file without a request ends the process.
 */

#include <stdbool.h>

/* @library: path of libnvrtc. The exit status: 0, 1 the compiler says no, 2 it can't be run. */
int compile_one(const char *library);

/* Whether this process compiles, and so has nothing to do with a GPU. */
bool compile_is_alone(void);
/* A file is being opened for reading: the source may depend on it (nvrtc/opened.c). */
void compile_note(const char *path);
