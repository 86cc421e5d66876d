/* SPDX-License-Identifier: MIT */

/*
 * What deployments are built with. The compilers are those that the server would take; that they
 * can compile is tried on a few lines, which also shows whether the headers are there.
 */

#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/program.h"
#include "build/toolchain.h"
#include "cli/capture.h"
#include "cli/findings.h"

#define TIMEOUT_MS 2000

/* The first line of what `PROGRAM --version` says; free(). NULL: it doesn't run. */
static char *version_of(const char *program)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	if (capture((const char *const[]){ program, "--version", NULL }, "", TIMEOUT_MS, &text) != 0)
		return NULL;
	return xstrndup(buffer_text(&text), strcspn(buffer_text(&text), "\n"));
}

static int try_source(const struct compiler *c, const char *language, const char *include_dir, const char *source,
		      struct buffer *said)
{
	_cleanup_words_ struct words argv = WORDS_NULL;

	for (size_t i = 0; i < c->command.n; i++)
		words_add(&argv, c->command.at[i]);
	words_add_list(&argv, "-x", language, "-fsyntax-only", "-I", include_dir, "-", NULL);
	return capture((const char *const *)argv.at, source, TIMEOUT_MS, said);
}

/* A compiler's first complaint, without its colours. */
static char *first_error(const struct buffer *said)
{
	const char *error = strstr(buffer_text(said), "error: ");

	return error ? xstrndup(error + 7, strcspn(error + 7, "\n")) : xstrdup("it fails on a few lines");
}

static void examine_compiler(struct findings *f, const char *name, const struct compiler *c, const char *language,
			     const char *include_dir, const char *source, const struct package *package, bool required)
{
	_cleanup_buffer_ struct buffer said = BUFFER_NULL;
	enum finding_state bad = required ? FINDING_MISSING : FINDING_NOTE;
	_cleanup_free_ char *version = NULL, *error = NULL;

	if (!c->command.n) {
		findings_add(f, name, bad, xasprintf("there is none; %s deployments can't be built", name),
			     package_command(package));
		return;
	}
	version = version_of(c->command.at[0]);
	if (try_source(c, language, include_dir, source, &said) == 0) {
		findings_add(f, name, FINDING_OK, xstrdup(version ? version : c->command.at[0]), NULL);
		return;
	}
	error = first_error(&said);
	findings_add(f, name, bad, xasprintf("%s can't compile: %s", c->command.at[0], error), package_command(package));
}

static void examine_linker(struct findings *f)
{
	static const struct package package = { "binutils", "binutils-gold", "binutils" };
	_cleanup_free_ char *gold = program_find("ld.gold"), *as = program_find("as");
	_cleanup_free_ char *ld = program_find("ld"), *version = NULL;

	if (!as || !ld) {
		findings_add(f, "linker", FINDING_MISSING, xstrdup("there is no assembler and linker"),
			     package_command(&package));
		return;
	}
	version = gold ? version_of(gold) : NULL;
	if (version)
		findings_add(f, "linker", FINDING_OK, xstrdup(version), NULL);
	else
		findings_add(f, "linker", FINDING_NOTE,
			     xstrdup("there is no ld.gold: each save is linked by ld, 25 ms slower"),
			     package_command(&package));
}

static void examine_headers(struct findings *f, const char *include_dir)
{
	_cleanup_free_ char *path = path_join(include_dir, "devserve/deployment.h");

	if (file_exists(path))
		findings_add(f, "headers", FINDING_OK, xasprintf("%s/devserve", include_dir), NULL);
	else
		findings_add(f, "headers", FINDING_MISSING, xasprintf("%s isn't there", path),
			     xstrdup("install devserve as a whole, or let DEVSERVE_INCLUDE name the directory"));
}

void examine_tools(struct findings *f, const char *root)
{
	static const struct package c = { "gcc libc6-dev", "gcc", "gcc" }, cxx = { "g++", "gcc-c++", "gcc" };
	_cleanup_free_ char *include_dir = path_of_headers();
	struct toolchain t;

	toolchain_init(&t, include_dir, root);
	examine_headers(f, include_dir);
	examine_compiler(f, "C", &t.cc, "c", include_dir,
			 "#include <devserve/deployment.h>\n#include <stdlib.h>\n#include <math.h>\n", &c, true);
	examine_compiler(f, "C++", &t.cxx, "c++", include_dir,
			 "#include <devserve/deployment.h>\n#include <cstddef>\n", &cxx, false);
	examine_linker(f);
	toolchain_fini(&t);
}
