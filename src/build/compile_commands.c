/* SPDX-License-Identifier: MIT */

/*
 * For clangd, which is clang: gcc's flags that it doesn't know are left out.
 * https://clang.llvm.org/docs/JSONCompilationDatabase.html
 */

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "build/driver.h"
#include "build/flags.h"
#include "build/internal.h"

static bool is_for_gcc(const char *word)
{
	return strcmp(word, "-fno-var-tracking-assignments") == 0 ||
	       strcmp(word, "-fno-gnu-unique") == 0 ||
	       strcmp(word, "-fdiagnostics-color=always") == 0;
}

static void add_source(struct buffer *text, struct builder *b, const struct recipe *r,
		       const char *source)
{
	const struct compiler *c = toolchain_compiler(&b->toolchain, language_of(source));
	_cleanup_free_ char *own = recipe_directory(r);
	_cleanup_words_ struct words flags = WORDS_NULL;

	if (!c)
		return;
	flags_add_own(c, r->cflags, &flags);
	flags_add(c->family, r->cflags, &flags);
	json_object(text, NULL);
	json_string(text, "directory", b->root);
	json_string(text, "file", source);
	json_array(text, "arguments");
	for (size_t i = 0; i < c->command.n; i++)
		json_string(text, NULL, c->command.at[i]);
	for (size_t i = 0; i < flags.n; i++)
		if (!is_for_gcc(flags.at[i]))
			json_string(text, NULL, strcmp(flags.at[i], DRIVER_OWN) == 0 ? own : flags.at[i]);
	json_string(text, NULL, "-c");
	json_string(text, NULL, source);
	json_array_end(text);
	json_object_end(text);
}

int builder_write_compile_commands(struct builder *b, const struct recipe *recipes, size_t n,
				   const char *path)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL, old = BUFFER_NULL;

	json_array(&text, NULL);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < recipes[i].n_sources; k++)
			add_source(&text, b, &recipes[i], recipes[i].sources[k]);
	json_array_end(&text);
	buffer_putc(&text, '\n');
	/* Written only if it differs: it lies where files are watched. */
	if (file_read(path, &old) == 0 && strcmp(buffer_text(&old), buffer_text(&text)) == 0)
		return 0;
	return file_write(path, text.data, text.size, 0644);
}
