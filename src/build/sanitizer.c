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
#include "build/internal.h"

#define LIBRARY "libasan.so"
#define CLANGS_LIBRARY "libclang_rt.asan"
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

bool sanitizer_refuses(struct build *b)
{
	for (size_t i = 0; i < b->recipe.n_sources; i++) {
		if (b->units[i].language != LANGUAGE_CUDA && b->units[i].language != LANGUAGE_DEVICE)
			continue;
		build_fail(b, b->recipe.sources[i], "the address sanitizer knows nothing of a GPU; run what calls the "
			   "deployment under NVIDIA's compute-sanitizer instead");
		return true;
	}
	return false;
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

	build_explain(b, end, c->name, &text);
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
	const struct compiler *c = link_driver(b);
	_cleanup_words_ struct words command = WORDS_NULL;
	struct job_options o = { .command = &command, .at_once = true, .time_limit_ms = b->builder->time_limit_ms };

	words_add_all(&command, &c->command);
	if (c->family == FAMILY_CLANG)
		words_add_list(&command, "-###", FLAG, "-shared-libasan", "-shared", "-x", "c", "/dev/null", NULL);
	else
		words_add_list(&command, "-print-file-name=" LIBRARY, NULL);
	job_start(b->builder->queue, &o, on_answer, b, &b->job);
}
