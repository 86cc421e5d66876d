/* SPDX-License-Identifier: MIT */

/*
 * The text of a manifest, a note in the store; newest entry first:
 *
 *	entry OBJECT SHADOW N-PATHS TEXT-SIZE
 *	HASH PATH                                  N-PATHS times
 *	TEXT                                       TEXT-SIZE bytes and a newline
 *
 * As in ccache, only that the names are checked which a compiler found, and those which it
 * would find now in a directory that comes earlier (shadow_hash). Without that, a plugin's
 * own "util.h" would go unseen as long as the shared one stays what it was.
 */

#include "build/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/content.h"
#include "build/store.h"

enum { MAX_ENTRIES = 8 };

void manifest_entry_fini(struct manifest_entry *e)
{
	words_fini(&e->paths);
	free(e->hashes);
	free(e->text);
	*e = (struct manifest_entry)MANIFEST_ENTRY_NULL;
}

void manifest_entry_seal(struct manifest_entry *e, struct hash key)
{
	struct hash_state *s = hash_state_new();

	hash_state_add(s, &key, sizeof(key));
	hash_state_add(s, &e->shadow, sizeof(e->shadow));
	for (size_t i = 0; i < e->paths.n; i++) {
		hash_state_add_string(s, e->paths.at[i]);
		hash_state_add(s, &e->hashes[i], sizeof(e->hashes[i]));
	}
	e->inputs = hash_state_end(s);
}

/* Where "/NAME" followed by a slash or the end stands in @path. */
static const char *find_component(const char *path, const char *name, size_t n)
{
	for (const char *p = path; (p = strchr(p, '/'));) {
		p++;
		if (strncmp(p, name, n) == 0 && (p[n] == '\0' || p[n] == '/'))
			return p;
	}
	return NULL;
}

static void find_shadows(const char *directory, const char *name, const struct words *paths,
			 struct words *ret)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < paths->n; i++) {
		const char *rest = find_component(paths->at[i], name, n);
		_cleanup_free_ char *candidate = rest ? path_join(directory, rest) : NULL;

		if (candidate && strcmp(candidate, paths->at[i]) != 0 && file_exists(candidate) &&
		    !file_is_directory(candidate))
			words_add(ret, candidate);
	}
}

/* Headers have odd names, but weights and documents don't look like them. */
static bool may_be_header(const char *name)
{
	const char *suffix = path_suffix(name);

	return *name != '.' && (!*suffix || strchr("hHcCit", suffix[1]));
}

struct hash shadow_hash(const struct words *searched, const struct words *paths)
{
	_cleanup_words_ struct words found = WORDS_NULL;
	struct hash_state *s = hash_state_new();

	for (size_t i = 0; i < searched->n; i++) {
		DIR *d = opendir(searched->at[i]);
		struct dirent *e;

		while (d && (e = readdir(d)))
			if (may_be_header(e->d_name))
				find_shadows(searched->at[i], e->d_name, paths, &found);
		if (d)
			closedir(d);
	}
	words_sort(&found);
	for (size_t i = 0; i < found.n; i++)
		hash_state_add_string(s, found.at[i]);
	return hash_state_end(s);
}

/* Read the entry at *@at and move past it. */
static int read_entry(const char **at, const char *end, struct manifest_entry *ret)
{
	char object[33], shadow[33];
	size_t n, size;
	int used = 0;

	if (sscanf(*at, "entry %32s %32s %zu %zu\n%n", object, shadow, &n, &size, &used) != 4 ||
	    !hash_from_text(object, &ret->object) || !hash_from_text(shadow, &ret->shadow) ||
	    n > (size_t)(end - *at))
		return -EBADMSG;
	*at = strchr(*at, '\n') + 1;
	ret->hashes = xcalloc(n + 1, sizeof(*ret->hashes));
	for (size_t i = 0; i < n; i++) {
		const char *eol = memchr(*at, '\n', (size_t)(end - *at));

		if (!eol || eol - *at < HASH_TEXT_SIZE || !hash_from_text(*at, &ret->hashes[i]))
			return -EBADMSG;
		words_add_n(&ret->paths, *at + HASH_TEXT_SIZE, (size_t)(eol - *at) - HASH_TEXT_SIZE);
		*at = eol + 1;
	}
	if ((size_t)(end - *at) < size + 1)
		return -EBADMSG;
	ret->text = xstrndup(*at, size);
	*at += size + 1;
	return 0;
}

static void write_entry(struct buffer *b, const struct manifest_entry *e)
{
	char object[HASH_TEXT_SIZE], shadow[HASH_TEXT_SIZE], hash[HASH_TEXT_SIZE];

	hash_text(e->object, object);
	hash_text(e->shadow, shadow);
	buffer_printf(b, "entry %s %s %zu %zu\n", object, shadow, e->paths.n, strlen(e->text));
	for (size_t i = 0; i < e->paths.n; i++) {
		hash_text(e->hashes[i], hash);
		buffer_printf(b, "%s %s\n", hash, e->paths.at[i]);
	}
	buffer_printf(b, "%s\n", e->text);
}

static bool holds(const struct manifest_entry *e, struct contents *c, const struct words *searched)
{
	struct hash now;

	for (size_t i = 0; i < e->paths.n; i++)
		if (contents_hash(c, e->paths.at[i], &now) < 0 || !hash_equal(now, e->hashes[i]))
			return false;
	return hash_equal(shadow_hash(searched, &e->paths), e->shadow);
}

int manifest_find(struct store *s, struct contents *c, struct hash key,
		  const struct words *searched, struct manifest_entry *ret)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	struct manifest_entry one = MANIFEST_ENTRY_NULL;
	const char *at, *end;
	int r = store_read_note(s, "manifests", key, &text);

	if (r < 0)
		return r;
	at = buffer_text(&text);
	end = at + text.size;
	while (at < end && read_entry(&at, end, &one) == 0) {
		if (holds(&one, c, searched) && store_has(s, "objects", one.object)) {
			manifest_entry_seal(&one, key);
			*ret = one;
			return 0;
		}
		manifest_entry_fini(&one);
	}
	manifest_entry_fini(&one);
	return -ENOENT;
}

int manifest_add(struct store *s, struct hash key, const struct manifest_entry *e)
{
	_cleanup_buffer_ struct buffer old = BUFFER_NULL, text = BUFFER_NULL;
	struct manifest_entry one = MANIFEST_ENTRY_NULL;
	const char *at, *end;
	unsigned n = 1;

	for (size_t i = 0; i < e->paths.n; i++)
		if (strchr(e->paths.at[i], '\n'))
			return -EINVAL;
	write_entry(&text, e);
	store_read_note(s, "manifests", key, &old);
	at = buffer_text(&old);
	end = at + old.size;
	while (n < MAX_ENTRIES && at < end && read_entry(&at, end, &one) == 0) {
		manifest_entry_seal(&one, key);
		if (!hash_equal(one.inputs, e->inputs)) {
			write_entry(&text, &one);
			n++;
		}
		manifest_entry_fini(&one);
	}
	manifest_entry_fini(&one);
	return store_write_note(s, "manifests", key, text.data, text.size);
}
