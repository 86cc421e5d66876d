/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sanitizer
 *
 * A worker that starts with a sanitizer's runtime library, for images that were built for it: its
 * environment, and the report that it prints before it ends, kept apart from the lines of the
 * deployment. Such a worker serves no other image, and such an image no other worker.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

#define SANITIZER_MAX_REPORT (64 * 1024) /* bytes; what comes after is dropped */

/*
 * The environment of a worker with @runtime, the path of the library, or of the program that starts it
 * (memcheck.h); free() it and its strings.
 */
char **sanitizer_environment(const char *runtime);

/* What such a worker has reported so far. */
struct sanitizer_report {
	struct buffer text; /* "" until it begins */
	bool over;          /* enough is known */
	bool memcheck;      /* the worker was started by that program (memcheck.h) */
};

/* A line without its end, of stderr (that program's: of stdout); whether it belongs to the report. */
bool sanitizer_report_take(struct sanitizer_report *r, const char *line, size_t size);
void sanitizer_report_fini(struct sanitizer_report *r);

/* What a worker with @runtime is under: "AddressSanitizer", "compute-sanitizer"; NULL: nothing. */
const char *sanitizer_of(const char *runtime);

/* Which tool found it: "AddressSanitizer", "UndefinedBehaviorSanitizer", "compute-sanitizer". */
const char *sanitizer_tool(const char *report);

/*
 * What it found, as part of a sentence: "heap-buffer-overflow: wrote 4 bytes, 0 bytes after
 * 40-byte region". Without control bytes.
 */
void sanitizer_describe(const char *report, struct buffer *ret);
