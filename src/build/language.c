/* SPDX-License-Identifier: MIT */
#include "build/language.h"

#include <ctype.h>
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

/* Overwrite comments and strings, but not the strings of directives, with blanks. */
static void blank_out(char *p)
{
	bool directive = false;

	while (*p) {
		char *end = directive && *p != '/' ? p : skip(p);

		directive = *p == '#' || (directive && *p != '\n');
		if (end == p)
			p++;
		for (; p < end; p++)
			*p = *p == '\n' ? '\n' : ' ';
	}
}

static bool starts_with_any(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strncmp(text, *words, strlen(*words)) == 0)
			return true;
	return false;
}

static bool includes(const char *text, const char *const *names, const char *const *but)
{
	for (const char *p = text; (p = strchr(p, '#')); p++) {
		const char *name = p + 1 + strspn(p + 1, " \t");

		if (strncmp(name, "include", 7) != 0)
			continue;
		name += 7 + strspn(name + 7, " \t<\"");
		if (starts_with_any(name, names) && !starts_with_any(name, but))
			return true;
	}
	return false;
}

static bool includes_host_library(const char *text)
{
	static const char *const names[] = { "devserve/", "cublas", "cudnn", "cufft", "curand.h", "cusparse",
					     "cusolver", "nccl", NULL };
	static const char *const of_the_device[] = { "cublasdx", "cufftdx", "cusolverdx", "nccl_device", NULL };

	return includes(text, names, of_the_device);
}

/* Of CUDA's runtime; two of its functions are for kernels. */
static bool calls_runtime(const char *text)
{
	static const char *const of_the_device[] = { "cudaGridDependencySynchronize",
						     "cudaTriggerProgrammaticLaunchCompletion", NULL };

	for (const char *p = text; (p = strstr(p, "cuda")); p += 4) {
		const char *end = p + 4;

		if (!isupper((unsigned char)*end) || (p > text && (isalnum((unsigned char)p[-1]) || p[-1] == '_')))
			continue;
		while (isalnum((unsigned char)*end) || *end == '_')
			end++;
		if (end[strspn(end, " \t\n")] == '(' && !starts_with_any(p, of_the_device))
			return true;
	}
	return false;
}

/* NVRTC takes the runtime's header, too, and many a kernel includes it without need. */
static bool has_host_code(const char *text)
{
	static const char *const runtime[] = { "cuda_runtime.h", "cuda_runtime_api.h", NULL }, *const nothing[] = { NULL };

	return strstr(text, "<<<") || includes_host_library(text) ||
	       (includes(text, runtime, nothing) && calls_runtime(text));
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
	return has_host_code(text.data) ? LANGUAGE_CUDA : LANGUAGE_DEVICE;
}

const char *language_name(enum language l)
{
	static const char *const names[] = { "nothing", "C", "C++", "assembler", "CUDA", "CUDA" };

	return names[l];
}
