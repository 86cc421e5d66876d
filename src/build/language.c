/* SPDX-License-Identifier: MIT */
#include "build/language.h"

#include <stddef.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

enum language language_of(const char *path)
{
	static const struct {
		const char *suffix;
		enum language language;
	} suffixes[] = {
		{ ".c", LANGUAGE_C },      { ".cc", LANGUAGE_CXX },      { ".cpp", LANGUAGE_CXX },
		{ ".cxx", LANGUAGE_CXX },  { ".S", LANGUAGE_ASSEMBLER }, { ".cu", LANGUAGE_CUDA },
	};
	const char *suffix = path_suffix(path);

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (strcmp(suffix, suffixes[i].suffix) == 0)
			return suffixes[i].language;
	return LANGUAGE_NONE;
}

const char *language_name(enum language l)
{
	static const char *const names[] = { "nothing", "C", "C++", "assembler", "CUDA" };

	return names[l];
}
