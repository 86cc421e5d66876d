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

/* What the next #include behind @p is of, with what it is quoted by; NULL: there is none. */
static const char *next_include(const char *p)
{
	while ((p = strchr(p, '#'))) {
		p += 1 + strspn(p + 1, " \t");
		if (strncmp(p, "include", 7) == 0)
			return p + 7 + strspn(p + 7, " \t");
	}
	return NULL;
}

static const char *name_of(const char *include)
{
	return include + strspn(include, "<\"");
}

static bool includes(const char *text, const char *const *names, const char *const *but)
{
	for (const char *p = text; (p = next_include(p));)
		if (starts_with_any(name_of(p), names) && !starts_with_any(name_of(p), but))
			return true;
	return false;
}

/* Its algorithms are launched by the host; what kernels are made of lies beside them. */
static bool includes_cutlass_of_the_host(const char *text)
{
	for (const char *p = text; (p = next_include(p));) {
		const char *name = name_of(p);
		size_t n = strcspn(name, ">\"\n");

		if (starts_with_any(name, (const char *const[]){ "cutlass/", NULL }) && memmem(name, n, "/device/", 8))
			return true;
	}
	return false;
}

static bool includes_host_library(const char *text)
{
	static const char *const names[] = { "devserve/", "cublas", "cudnn", "cufft", "curand.h", "cusparse", "cusolver",
					     "nccl", "cutensor", "npp", "nvjpeg", "nvToolsExt", "nvtx3/", "thrust/",
					     "cub/cub.cuh", "cub/device/", NULL };
	static const char *const of_the_device[] = { "cublasdx", "cufftdx", "cusolverdx", "nccl_device", "thrust/complex.h",
						     "thrust/functional.h", "thrust/pair.h", "thrust/tuple.h", NULL };

	return includes(text, names, of_the_device) || includes_cutlass_of_the_host(text);
}

/* The end of the list that starts with the '<' at @p, as far as there is one. */
static const char *skip_template_arguments(const char *p)
{
	unsigned depth = 0;

	for (; *p && !strchr(";{}", *p); p++) {
		depth += *p == '<';
		if (*p == '>' && !--depth)
			return p + 1;
	}
	return p;
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
		end += strspn(end, " \t\n");
		if (*end == '<')
			end = skip_template_arguments(end);
		if (end[strspn(end, " \t\n")] == '(' && !starts_with_any(p, of_the_device))
			return true;
	}
	return false;
}

/* Whether kernels may be in it: its own, or a header's of the author's. */
static bool may_have_kernels(const char *text, const char *const *runtime)
{
	if (strstr(text, "__global__") || strstr(text, "__device__"))
		return true;
	for (const char *p = text; (p = next_include(p));)
		if ((*p == '"' || memmem(p, strcspn(p, "\n"), ".cuh", 4)) && !starts_with_any(name_of(p), runtime))
			return true;
	return false;
}

/* NVRTC takes the runtime's header, too, and many a kernel includes it without need. */
static bool has_host_code(const char *text)
{
	static const char *const runtime[] = { "cuda_runtime.h", "cuda_runtime_api.h", NULL }, *const nothing[] = { NULL };

	return strstr(text, "<<<") || includes_host_library(text) ||
	       (includes(text, runtime, nothing) && (calls_runtime(text) || !may_have_kernels(text, runtime)));
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

static bool is_part_of_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* What follows @word as far as it stands at @p by itself; or NULL. */
static const char *behind_word(const char *start, const char *p, const char *word)
{
	const char *end = p + strlen(word);

	return (p > start && is_part_of_name(p[-1])) || is_part_of_name(*end) ? NULL : end + strspn(end, " \t\n");
}

/* Whether parameters and a body stand at @p. */
static bool has_body(const char *p)
{
	unsigned depth = 0;

	if (*p == '<')
		p = skip_template_arguments(p);
	p += strspn(p, " \t\n");
	if (*p != '(')
		return false;
	for (; *p; p++) {
		depth += *p == '(';
		if (*p == ')' && !--depth)
			break;
	}
	return p[strcspn(p, "{;")] == '{';
}

/* Whether what is declared at @p, which ends before @end, is @name, with a body. */
static bool defines(const char *p, const char *end, const char *name)
{
	const char *start = p, *rest;

	for (; (p = strstr(p, name)) && p < end; p++) {
		rest = behind_word(start, p, name);
		if (rest && has_body(rest))
			return true;
	}
	return false;
}

bool language_has_kernel(const char *path, const char *name)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	if (!*name || file_read(path, &text) < 0 || !text.size)
		return false;
	blank_out(text.data);
	for (const char *p = text.data; (p = strstr(p, "__global__")); p++)
		if (defines(p, p + strcspn(p, "{;}"), name))
			return true;
	return false;
}

const char *language_name(enum language l)
{
	static const char *const names[] = { "nothing", "C", "C++", "assembler", "CUDA", "CUDA" };

	return names[l];
}
