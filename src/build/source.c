/* SPDX-License-Identifier: MIT */

/*
 * After a success the depfile says it all. After a failure there is none: then the files of
 * the last success still count, and those that the compiler names in its messages, and any
 * file by the name of which one is said to be missing.
 *
 * Kept in the store as one note a source, one file a line; "?NAME" is a missing one.
 */

#include "build/source.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/diagnostic.h"
#include "build/store.h"

#define OPEN_SOURCE_FILE " open source file \""

struct source {
	char *path;
	struct words paths; /* sorted */
	bool late;
};

struct sources {
	void *tree; /* of struct source by path; tsearch(3) */
	struct store *store;
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct source *)a)->path, ((const struct source *)b)->path);
}

static void free_source(void *node)
{
	struct source *one = node;

	words_fini(&one->paths);
	free(one->path);
	free(one);
}

struct sources *sources_new(struct store *s)
{
	struct sources *all = xcalloc(1, sizeof(*all));

	all->store = s;
	return all;
}

struct sources *sources_free(struct sources *s)
{
	if (s)
		tdestroy(s->tree, free_source);
	free(s);
	return NULL;
}

static struct hash key_of(const char *path)
{
	return hash_bytes(path, strlen(path));
}

static void load(struct sources *s, struct source *one)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	const char *line, *end;

	if (store_read_note(s->store, "sources", key_of(one->path), &text) < 0)
		return;
	for (line = buffer_text(&text); (end = strchr(line, '\n')); line = end + 1)
		words_add_n(&one->paths, line, (size_t)(end - line));
}

static void save(struct sources *s, const struct source *one)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	for (size_t i = 0; i < one->paths.n; i++)
		buffer_printf(&text, "%s\n", one->paths.at[i]);
	store_write_note(s->store, "sources", key_of(one->path), buffer_text(&text), text.size);
}

static struct source *get(struct sources *s, const char *path)
{
	struct source key = { .path = (char *)path }, *fresh;
	struct source **node = tfind(&key, &s->tree, compare);

	if (node)
		return *node;
	fresh = xcalloc(1, sizeof(*fresh));
	fresh->path = xstrdup(path);
	if (!tsearch(fresh, &s->tree, compare))
		abort();
	load(s, fresh);
	return fresh;
}

static bool is_equal(const struct words *a, const struct words *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->at[i], b->at[i]) != 0)
			return false;
	return true;
}

static void set(struct sources *s, struct source *one, struct words *paths)
{
	words_sort(paths);
	if (!is_equal(&one->paths, paths)) {
		words_fini(&one->paths);
		words_add_all(&one->paths, paths);
		save(s, one);
	}
}

void sources_read(struct sources *s, const char *source, const struct words *paths)
{
	_cleanup_words_ struct words now = WORDS_NULL;

	words_add_all(&now, paths);
	set(s, get(s, source), &now);
}

/*
 * gcc's "NAME: No such file or directory", clang's "'NAME' file not found", and NVRTC's "cannot open source file
 * "NAME"", or "could not open" it.
 */
static void add_missing(struct words *ret, const char *message)
{
	const char *name = strstr(message, OPEN_SOURCE_FILE), *end = strstr(message, ": No such file");

	if (end) {
		words_printf(ret, "?%.*s", (int)(end - message), message);
	} else if (*message == '\'' && (end = strstr(message, "' file not found"))) {
		words_printf(ret, "?%.*s", (int)(end - message - 1), message + 1);
	} else if (name) {
		name += strlen(OPEN_SOURCE_FILE);
		words_printf(ret, "?%.*s", (int)strcspn(name, "\""), name);
	}
}

void sources_failed(struct sources *s, const char *source, const char *text)
{
	_cleanup_words_ struct words now = WORDS_NULL;
	struct diagnostics d = DIAGNOSTICS_NULL;
	struct source *one = get(s, source);

	diagnostics_parse(&d, text, "");
	for (size_t i = 0; i < one->paths.n; i++)
		if (one->paths.at[i][0] != '?')
			words_add(&now, one->paths.at[i]);
	for (size_t i = 0; i < d.n; i++) {
		if (d.at[i].file && strcmp(d.at[i].file, source) != 0)
			words_add(&now, d.at[i].file);
		add_missing(&now, d.at[i].message);
	}
	diagnostics_fini(&d);
	set(s, one, &now);
}

void sources_paths(struct sources *s, const char *source, const struct words *searched,
		   struct words *ret)
{
	const struct source *one = get(s, source);

	for (size_t i = 0; i < one->paths.n; i++) {
		const char *path = one->paths.at[i];

		if (*path != '?')
			words_add(ret, path);
		else
			for (size_t k = 0; k < searched->n; k++)
				words_printf(ret, "%s/%s", searched->at[k], path + 1);
	}
	words_sort(ret);
}

bool sources_is_late(struct sources *s, const char *source)
{
	return get(s, source)->late;
}

void sources_set_late(struct sources *s, const char *source)
{
	get(s, source)->late = true;
}

bool sources_depends(struct sources *s, const char *source, const char *path)
{
	const struct source *one = get(s, source);

	if (words_have(&one->paths, path))
		return true;
	/* Not only missing ones: a new header hides another of its name that is found later. */
	for (size_t i = 0; i < one->paths.n; i++) {
		const char *known = one->paths.at[i];

		if (strcmp(path_name(known + (*known == '?')), path_name(path)) == 0)
			return true;
	}
	return false;
}
