/* SPDX-License-Identifier: MIT */
#include "build/language.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/buffer.h"
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

/* The end of the comment or string that starts at @p; @p itself where none does. */
static char *skip(char *p)
{
	char *end;

	if (p[0] == '/' && p[1] == '/')
		return p + strcspn(p, "\n");
	if (p[0] == '/' && p[1] == '*') {
		end = strstr(p + 2, "*/");
		return end ? end + 2 : p + strlen(p);
	}
	if (strncmp(p, "'\"'", 3) == 0)
		return p + 3;
	if (*p != '"')
		return p;
	for (p++; *p && *p != '"' && *p != '\n'; p++)
		p += *p == '\\' && p[1];
	return p + (*p == '"');
}

/* Overwrite comments and strings, but not those of directives, with blanks. */
static void blank_out(char *p)
{
	while (*p) {
		char *end = skip(p);

		if (*p == '#')
			p += strcspn(p, "\n");
		else if (end == p)
			p++;
		for (; p < end; p++)
			*p = *p == '\n' ? '\n' : ' ';
	}
}

static bool includes_host_header(const char *text)
{
	static const char *const names[] = { "devserve/", "cuda_runtime", "cublas", "cudnn", "cufft", "curand.h",
					     "cusparse", "cusolver", "nccl" };

	for (const char *p = text; (p = strstr(p, "#")); p++) {
		const char *name = p + 1 + strspn(p + 1, " \t");

		if (strncmp(name, "include", 7) != 0)
			continue;
		name += 7 + strspn(name + 7, " \t<\"");
		for (size_t i = 0; i < ARRAY_SIZE(names); i++)
			if (strncmp(name, names[i], strlen(names[i])) == 0)
				return true;
	}
	return false;
}

enum language language_of_source(const char *path)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	enum language l = language_of(path);

	if (l != LANGUAGE_CUDA)
		return l;
	if (file_read(path, &text) < 0 || !text.size)
		return l;
	blank_out(text.data);
	return strstr(text.data, "<<<") || includes_host_header(text.data) ? LANGUAGE_CUDA : LANGUAGE_DEVICE;
}

const char *language_name(enum language l)
{
	static const char *const names[] = { "nothing", "C", "C++", "assembler", "CUDA", "CUDA" };

	return names[l];
}
