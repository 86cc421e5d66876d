/* SPDX-License-Identifier: MIT */

/*
 * A driver needs 5 ms to find out again and again which flags -march=native stands for and
 * where its compiler is. -### tells both, one command a line, words quoted for a shell; the
 * line is taken as it is, so that what we run is what the driver would.
 */

#include "build/driver.h"

#include <string.h>

#include "base/buffer.h"
#include "base/file.h"

/* Split as a shell would, as far as drivers quote: "…" with backslashes, and backslashes. */
static void split(const char *line, const char *end, struct words *ret)
{
	_cleanup_buffer_ struct buffer word = BUFFER_NULL;
	bool quoted = false, any = false;

	for (const char *p = line; p < end; p++) {
		if (*p == '"') {
			quoted = !quoted;
			any = true;
		} else if (*p == ' ' && !quoted) {
			if (any)
				words_add(ret, buffer_text(&word));
			buffer_reset(&word);
			any = false;
		} else {
			if (*p == '\\' && p + 1 < end)
				p++;
			buffer_putc(&word, *p);
			any = true;
		}
	}
	if (any)
		words_add(ret, buffer_text(&word));
}

static bool is_name_of(const struct words *command, const char *const *names)
{
	const char *name = command->n ? path_name(command->at[0]) : "";

	for (; *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

/* The first command in @text by one of @names, NULL-terminated. Where the next line starts. */
static const char *find_command(const char *text, const char *const *names, struct words *ret)
{
	while (*text) {
		const char *end = strchrnul(text, '\n'), *next = *end ? end + 1 : end;

		if (*text == ' ') {
			split(text, end, ret);
			if (is_name_of(ret, names))
				return next;
			words_fini(ret);
		}
		text = next;
	}
	return NULL;
}

bool driver_is_clang(const char *text)
{
	return strstr(text, "clang version") != NULL;
}

bool driver_read_compile(const char *text, struct words *cc1, struct words *as)
{
	const char *next = find_command(text, (const char *const[]){ "cc1", "cc1plus", NULL }, cc1);
	bool whole = next && cc1->n > 2 && strcmp(cc1->at[cc1->n - 1], "|") == 0 &&
		     words_have(cc1, "-o") && words_have(cc1, "-") &&
		     find_command(next, (const char *const[]){ "as", NULL }, as) &&
		     words_have(as, DRIVER_OBJECT);

	if (!whole) {
		words_fini(cc1);
		words_fini(as);
		return false;
	}
	words_drop_last(cc1);
	return true;
}

bool driver_read_link(const char *text, struct words *ret)
{
	return find_command(text, (const char *const[]){ "collect2", "ld", "ld.gold", "ld.bfd",
							 "ld.lld", "mold", NULL }, ret);
}

/* "-fopt-info-…=/devserve/loops": how much of it is before the path; 0: it is no such word. */
static size_t before_loops(const char *word)
{
	size_t size = strlen(word), path = sizeof(DRIVER_LOOPS) - 1;

	return size > path && strcmp(word + size - path, DRIVER_LOOPS) == 0 ? size - path : 0;
}

static const char *filled(const char *word, const struct driver_paths *paths)
{
	if (strncmp(word, DRIVER_SOURCE, strlen(DRIVER_SOURCE)) == 0)
		return paths->source;
	if (strcmp(word, DRIVER_OBJECT) == 0)
		return paths->object;
	if (strcmp(word, DRIVER_DEPENDS) == 0 || strcmp(word, "/devserve/object.d") == 0)
		return paths->depends;
	return strcmp(word, DRIVER_OWN) == 0 ? paths->own : word;
}

void driver_fill(struct words *ret, const struct words *command, const struct driver_paths *paths)
{
	for (size_t i = 0; i < command->n; i++) {
		size_t n = before_loops(command->at[i]);

		if (!n)
			words_add(ret, filled(command->at[i], paths));
		else if (paths->loops)
			words_printf(ret, "%.*s%s", (int)n, command->at[i], paths->loops);
	}
}
