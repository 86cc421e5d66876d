/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Filter
 *
 * Which names matter below the root. A list of what is wanted is shorter and safer than one
 * of what isn't: backups (k.c~), autosaves (#k.c#), JetBrains' k.c___jb_tmp___, sed's
 * sedXXXXXX, Vim's 4913 and .k.c.swp, objects and libraries are out without being named.
 * The price: a header without a suffix (<vector>-style) is never seen.
 *
 * A header alone, because devserve-watch links nothing of the server's but base/.
 */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A name in a directory, of something that is no directory. */
static inline bool filter_wants_file(const char *name)
{
	static const char *const suffixes[] = {
		".c", ".cc", ".cpp", ".cxx", ".S", ".cu", ".def", ".safetensors", ".h", ".hh",
		".hpp", ".hxx", ".cuh", ".inc", ".inl", ".ipp", ".tcc",
	};
	const char *suffix = strrchr(name, '.');

	/* Editors and checkers put copies that look like sources beside the source. */
	if (name[0] == '.' || name[0] == '#' || strncmp(name, "flycheck_", 9) == 0)
		return false;
	if (strcmp(name, "deployment.yaml") == 0 || strcmp(name, "deployment.yml") == 0)
		return true;
	for (size_t i = 0; suffix && i < sizeof(suffixes) / sizeof(*suffixes); i++)
		if (strcmp(suffix, suffixes[i]) == 0)
			return true;
	return false;
}

/* Whether changes below a directory of that name matter; .git and .devserve don't. */
static inline bool filter_enters_directory(const char *name)
{
	return name[0] != '.';
}
