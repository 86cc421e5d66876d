/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Driver
 *
 * What a compiler driver says it would run (`cc -###`), read so that we can run it.
 */

#include <stdbool.h>

#include "build/words.h"

/* The paths that stand in the commands to be filled in later. */
#define DRIVER_SOURCE "/devserve/source"    /* with a suffix */
#define DRIVER_OBJECT "/devserve/object.o"
#define DRIVER_DEPENDS "/devserve/depends.d"
#define DRIVER_OWN "/devserve/own"          /* the deployment's directory */
#define DRIVER_LOOPS "/devserve/loops"      /* at the end of a word: what is told of loops */

/* A flag of gcc's: write there which loops it vectorised, and why not the others. */
#define DRIVER_TELL_LOOPS "-fopt-info-vec-optimized-missed=" DRIVER_LOOPS

/* The same of clang's. */
#define DRIVER_RECORD_LOOPS "-foptimization-record-file=" DRIVER_LOOPS

/* What is filled in. @loops NULL: nothing is to be told of them. */
struct driver_paths {
	const char *source, *object, *depends, *own, *loops;
};

/* Whether @text is from clang. */
bool driver_is_clang(const char *text);

/* Find the two commands `cc1 … |` and `as …`. False: it's not gcc, or not as we know it. */
bool driver_read_compile(const char *text, struct words *cc1, struct words *as);

/* Find the command of the linker. */
bool driver_read_link(const char *text, struct words *ret);

/* Append @command to @ret with the paths filled in. */
void driver_fill(struct words *ret, const struct words *command, const struct driver_paths *paths);
