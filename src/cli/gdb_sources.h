/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sources for gdb
 *
 * What runs was compiled from texts that may have been edited since. The history has them as they
 * were: those that differ are written out, and gdb is told to look there.
 */

#include <stddef.h>
#include <stdint.h>

struct gdb_sources {
	char **commands; /* of gdb: "set substitute-path …" */
	size_t n;
};

#define GDB_SOURCES_NULL { .commands = NULL }

struct gdb_sources_of {
	const char *root, *state_dir, *deployment;
	uint32_t generation;
};

/*
 * What can't be known or written is left out. The files lie where a server that starts removes what
 * ended processes left; this process's number is theirs.
 */
void gdb_sources_find(struct gdb_sources *s, const struct gdb_sources_of *of);
/* The same of those that lie in @directory, under their paths from @root. It stays while gdb runs. */
void gdb_sources_take(struct gdb_sources *s, const char *root, const char *directory);
void gdb_sources_fini(struct gdb_sources *s);
