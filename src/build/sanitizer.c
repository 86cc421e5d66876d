/* SPDX-License-Identifier: MIT */

/*
 * The library must be the one that the image was linked to, so the compiler is asked for it, each
 * time: that is a process more beside those of the build, and what was installed or removed
 * meanwhile is noticed. gcc answers -print-file-name with the name alone where there is no such
 * file, and elsewhere with a path, which some systems fill with a linker script. clang's is in the
 * command that it would link by.
 *
 * Left out of -fsanitize=undefined: object-size, which finds what the address sanitizer would
 * and says less about it, and vptr, which wants C++ names that images keep inside. -w: the build
 * without sanitizers has given its warnings, and here gcc sees more that aren't there. What is written
 * and never read again is written all the same (-fno-tree-dse): it may lie beside the block.
 */

#include "build/sanitizer.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/cuda.h"
#include "build/internal.h"
#include "build/program.h"

#define LIBRARY "libasan.so"
#define CLANGS_LIBRARY "libclang_rt.asan"
#define PROGRAM "compute-sanitizer"
#define FLAG "-fsanitize=address,undefined"

void sanitizer_add_flags(const struct compiler *c, struct words *ret)
{
	words_add_list(ret, FLAG, "-fno-sanitize=object-size,vptr", "-fno-sanitize-recover=all", "-O1",
		       "-fno-omit-frame-pointer", "-w", NULL);
	if (c->family == FAMILY_GCC)
		words_add(ret, "-fno-tree-dse");
}

void sanitizer_add_link_flags(const struct compiler *c, struct words *ret)
{
	words_add(ret, FLAG);
	if (c->family == FAMILY_CLANG) /* else its library would be a part of the image */
		words_add(ret, "-shared-libasan");
}

static bool has_gpu_code(const struct recipe *r)
{
	for (size_t i = 0; i < r->n_sources; i++)
		if (language_of(r->sources[i]) == LANGUAGE_CUDA)
			return true;
	return cuda_has_library(r->ldlibs);
}

bool sanitizer_instruments(const struct recipe *r)
{
	return r->sanitize && !has_gpu_code(r);
}

/* In an installed toolkit bin/ has a script that leads to it; a wheel has only the program. */
char *sanitizer_find_for_gpu(const struct cuda *c)
{
	static const char *const places[] = { "bin", "compute-sanitizer" };
	char *found = NULL;

	for (size_t i = 0; c->root && i < ARRAY_SIZE(places) && !found; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s/" PROGRAM, c->root, places[i]);

		found = program_find(path);
	}
	return found ? found : program_find(PROGRAM);
}

static void find_for_gpu(struct build *b)
{
	const struct cuda *c = &b->builder->toolchain.cuda;

	b->runtime = sanitizer_find_for_gpu(c);
	if (!b->runtime) {
		build_fail(b, NULL, "what a kernel touches beside its memory is found by NVIDIA's " PROGRAM
			   ", which is neither in the CUDA toolkit (%s) nor in PATH: install cuda-sanitizer of that "
			   "toolkit's version (NVIDIA's name), or put the directory that has it into PATH",
			   c->root ? c->root : "there is none");
		b->unsupported = true;
	}
	build_sanitizer_found(b);
}

/* The first word of @text that is the path of a library with @part in its name; free(). */
static char *path_with(const char *text, const char *part)
{
	for (const char *start; (start = strchr(text, '/')); text = start + strcspn(start, " \"\n\t,)")) {
		_cleanup_free_ char *path = xstrndup(start, strcspn(start, " \"\n\t,)"));

		if (strstr(path_name(path), part) && strstr(path_name(path), ".so") && file_exists(path))
			return xstrdup(path);
	}
	return NULL;
}

/* Some systems have a linker script there: INPUT ( /usr/lib64/libasan.so.8.0.0 ) */
static char *behind_script(char *path)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	char *real;

	if (!path || file_read(path, &text) < 0 || strncmp(buffer_text(&text), "\177ELF", 4) == 0)
		return path;
	real = path_with(buffer_text(&text), LIBRARY);
	free(path);
	return real;
}

/* The version in the name of the program that @c really is: "12" of …-gcc-12, "14" of /usr/lib/llvm-14/bin/clang. */
static char *version_of(const struct compiler *c, const char *mark)
{
	_cleanup_free_ char *path = realpath(c->command.at[0], NULL);
	const char *at = path ? strstr(path, mark) : NULL;
	size_t n = 0;

	while (at && isdigit((unsigned char)at[strlen(mark) + n]))
		n++;
	return n ? xstrndup(at + strlen(mark), n) : xstrdup("VERSION");
}

static void tell_missing(struct build *b, const struct compiler *c)
{
	bool clang = c->family == FAMILY_CLANG;
	_cleanup_free_ char *version = version_of(c, clang ? "llvm-" : strstr(c->name, "++") ? "g++-" : "gcc-");

	if (clang)
		build_fail(b, NULL, "the address sanitizer needs the runtime library of %s, " CLANGS_LIBRARY
			   "-*.so, which isn't here: install libclang-rt-%s-dev (Debian's name)", c->name, version);
	else
		build_fail(b, NULL, "the address sanitizer needs the runtime library of %s, " LIBRARY
			   ", which isn't here: install libgcc-%s-dev, which brings libasan (Debian's names)",
			   c->name, version);
	b->unsupported = true;
}

/* The compiler was killed, or could not run: that says nothing of the library. */
static void tell_disturbed(struct build *b, const struct compiler *c, const struct job_end *end)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	build_explain(b, end, c->name, NULL, &text);
	build_say(b, buffer_text(&text));
	b->failed = true;
}

static void on_answer(void *context, const struct job_end *end)
{
	struct build *b = context;
	const struct compiler *c = link_driver(b);

	b->job = NULL;
	if (c->family == FAMILY_CLANG)
		b->runtime = path_with(end->text, CLANGS_LIBRARY);
	else
		b->runtime = behind_script(path_with(end->text, LIBRARY));
	if (end->error || end->signal || end->timed_out)
		tell_disturbed(b, c, end);
	else if (!b->runtime)
		tell_missing(b, c);
	build_sanitizer_found(b);
}

void sanitizer_ask(struct build *b)
{
	const struct compiler *c;
	_cleanup_words_ struct words command = WORDS_NULL;
	struct job_options o = { .command = &command, .at_once = true, .time_limit_ms = b->builder->time_limit_ms };

	if (!sanitizer_instruments(&b->recipe)) {
		find_for_gpu(b);
		return;
	}
	c = link_driver(b);
	words_add_all(&command, &c->command);
	if (c->family == FAMILY_CLANG)
		words_add_list(&command, "-###", FLAG, "-shared-libasan", "-shared", "-x", "c", "/dev/null", NULL);
	else
		words_add_list(&command, "-print-file-name=" LIBRARY, NULL);
	job_start(b->builder->queue, &o, on_answer, b, &b->job);
}
