/* SPDX-License-Identifier: MIT */
#pragma once

/* Core dumps of workers: only when they are asked for (--core). */

#include <stdbool.h>
#include <stdint.h>

/* Workers that are started from now on dump core, or don't. */
void core_allow(bool yes);

/*
 * Where the dump of a process goes, a sentence: @pattern is /proc/sys/kernel/core_pattern,
 * @directory where it runs, @limit the hard limit of its size. free() it.
 */
char *core_describe(const char *pattern, bool uses_pid, const char *directory, uint64_t limit);

/* The same for our workers. */
char *core_place(void);
