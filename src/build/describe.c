/* SPDX-License-Identifier: MIT */

/* What a build was made of, and by, for whoever wants to know later. */

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "build/flags.h"
#include "build/internal.h"
#include "build/sanitizer.h"

static bool is_listed(const struct build_file *files, size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(files[i].path, path) == 0)
			return true;
	return false;
}

/* A source's own content is in its manifest's key alone, mixed with others; its hash is known by path. */
struct build_file *build_files(struct build *b, size_t *ret_n)
{
	const struct builder *builder = b->builder;
	struct build_file *files = NULL;
	size_t n = 0;

	for (size_t i = 0; i < b->recipe.n_sources; i++) {
		const struct unit *u = &b->units[i];

		files = xrealloc(files, (n + 1 + u->entry.paths.n) * sizeof(*files));
		files[n] = (struct build_file){ .path = u->source };
		if (contents_hash(builder->contents, u->source, &files[n].hash) == 0)
			n++;
		for (size_t k = 0; u->entry.hashes && k < u->entry.paths.n; k++) {
			const char *path = u->entry.paths.at[k];

			if (path_is_below(path, builder->root) && !is_listed(files, n, path))
				files[n++] = (struct build_file){ path, u->entry.hashes[k] };
		}
	}
	*ret_n = n;
	return files;
}

static void put_flag(struct buffer *ret, const char *flag)
{
	buffer_printf(ret, "%s%s", ret->size ? " " : "", flag);
}

void builder_describe(struct builder *b, const struct recipe *r, struct buffer *ret_compiler,
		      struct buffer *ret_flags)
{
	const struct compiler *c = toolchain_compiler(&b->toolchain, language_of_source(r->sources[0]));
	_cleanup_words_ struct words own = WORDS_NULL, sanitizers = WORDS_NULL;

	if (!c)
		return;
	buffer_puts(ret_compiler, c->version[0] ? c->version : c->name);
	flags_add_own(c, r->cflags, &own);
	for (size_t i = 0; i < own.n; i++) {
		const char *flag = own.at[i];

		if (strcmp(flag, "-I") == 0 || strcmp(flag, "-idirafter") == 0)
			i++;
		else if (strcmp(flag, "-fdiagnostics-color=always") != 0)
			put_flag(ret_flags, flag);
	}
	if (sanitizer_instruments(r))
		sanitizer_add_flags(c, &sanitizers);
	for (size_t i = 0; i < sanitizers.n; i++)
		put_flag(ret_flags, sanitizers.at[i]);
	for (char **flag = r->cflags; flag && *flag; flag++)
		put_flag(ret_flags, *flag);
	for (char **library = r->ldlibs; library && *library; library++)
		put_flag(ret_flags, *library);
}
