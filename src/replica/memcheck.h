/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Memcheck
 *
 * NVIDIA's compute-sanitizer, which finds what a kernel touches beside its memory. It is a program
 * that starts the worker, not a library in it: the command, and the report that it prints.
 */

#include <stdbool.h>
#include <stddef.h>

struct buffer;

#define MEMCHECK_NAME "compute-sanitizer"
#define MEMCHECK_MAX_WORDS 24

/* Whether @runtime (build_result.runtime, or NULL) is that program. */
bool memcheck_is(const char *runtime);

/* Its command before the worker's, into @ret, which has room for MEMCHECK_MAX_WORDS. How many words. */
size_t memcheck_command(const char *runtime, const char **ret);

/* "========= …", without its end: whether it is a line of the tool's that says nothing to an author. */
bool memcheck_is_chatter(const char *line, size_t size);
/* Whether it is the first line of a finding; the last one, or behind that. */
bool memcheck_begins(const char *line, size_t size);
bool memcheck_ends(const char *line, size_t size);

/* Whether a report is of this tool. */
bool memcheck_made(const char *report);

/*
 * "invalid __global__ write of size 4 bytes in kernel f(int *), by thread (0,0,0) of block (1,0,0): …",
 * without control bytes.
 */
void memcheck_describe(const char *report, struct buffer *ret);

/* Where it happened: the function as the tool has it, and the file, both free(); false: the report doesn't say. */
bool memcheck_place(const char *report, char **ret_function, char **ret_file, unsigned *ret_line);
