/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "build/content.h"
#include "build/manifest.h"
#include "build/store.h"

static struct {
	char *top;
	struct store store;
	struct contents *contents;
	struct words searched;
	struct hash key;
} t;

static void set_up(void)
{
	struct buffer why = BUFFER_NULL;
	char *state;

	t.top = xstrdup("/tmp/manifest-XXXXXX");
	cr_assert_not_null(mkdtemp(t.top));
	state = path_join(t.top, "state");
	cr_assert_eq(store_open(&t.store, state, 1 << 30, &why), 0, "%s", buffer_text(&why));
	t.contents = contents_new();
	t.key = hash_bytes("key", 3);
	words_printf(&t.searched, "%s/own", t.top);
	words_add(&t.searched, t.top);
	file_make_directories(t.searched.at[0]);
	free(state);
}

static void tear_down(void)
{
	words_fini(&t.searched);
	contents_free(t.contents);
	store_close(&t.store);
	file_remove_tree(t.top);
	free(t.top);
}

TestSuite(manifest, .init = set_up, .fini = tear_down);

static void put(const char *name, const char *text)
{
	char *path = path_join(t.top, name);

	cr_assert_eq(file_write(path, text, strlen(text), 0644), 0);
	free(path);
}

static struct hash put_object(const char *text)
{
	char *path = store_temporary(&t.store, ".o");
	struct hash h;

	cr_assert_eq(file_write(path, text, strlen(text), 0644), 0);
	cr_assert_eq(store_take(&t.store, "objects", path, &h), 0);
	cr_assert(!file_exists(path));
	free(path);
	return h;
}

/* Remembers that with the files a.h and b.h as they are now, the object is @object. */
static void remember(const char *object, const char *said)
{
	struct manifest_entry e = { .object = put_object(object), .text = xstrdup(said) };

	words_printf(&e.paths, "%s/a.h", t.top);
	words_printf(&e.paths, "%s/b.h", t.top);
	e.hashes = xcalloc(2, sizeof(*e.hashes));
	for (int i = 0; i < 2; i++)
		cr_assert_eq(contents_hash(t.contents, e.paths.at[i], &e.hashes[i]), 0);
	e.shadow = shadow_hash(&t.searched, &e.paths);
	manifest_entry_seal(&e, t.key);
	cr_assert_eq(manifest_add(&t.store, t.key, &e), 0);
	manifest_entry_fini(&e);
}

/* NULL: none must be found. */
static void check(const char *object, const char *said)
{
	struct manifest_entry e = MANIFEST_ENTRY_NULL;
	int r = manifest_find(&t.store, t.contents, t.key, &t.searched, &e);

	cr_assert_eq(r, object ? 0 : -ENOENT);
	if (object) {
		cr_assert(hash_equal(e.object, hash_bytes(object, strlen(object))));
		cr_assert_str_eq(e.text, said);
		cr_assert_eq(e.paths.n, 2);
	}
	manifest_entry_fini(&e);
}

Test(manifest, is_empty_at_first)
{
	check(NULL, NULL);
}

Test(manifest, finds_the_object_that_fits_the_headers)
{
	put("a.h", "1");
	put("b.h", "1");
	remember("one", "a warning\nand more\n");
	check("one", "a warning\nand more\n");
	put("a.h", "2");
	check(NULL, NULL);
	remember("two", "");
	check("two", "");
	put("a.h", "1");
	check("one", "a warning\nand more\n");
}

Test(manifest, same_size_and_time_is_not_the_same)
{
	put("a.h", "1");
	put("b.h", "1");
	remember("one", "");
	for (int i = 0; i < 50; i++) {
		put("b.h", i % 2 ? "1" : "2");
		check(i % 2 ? "one" : NULL, "");
	}
}

Test(manifest, a_header_that_is_gone)
{
	char *path = path_join(t.top, "b.h");

	put("a.h", "1");
	put("b.h", "1");
	remember("one", "");
	unlink(path);
	check(NULL, NULL);
	free(path);
}

Test(manifest, a_header_that_hides_another)
{
	char *path = path_join(t.top, "own/b.h");

	put("a.h", "1");
	put("b.h", "1");
	remember("one", "");
	put("own/c.h", "1");
	check("one", "");
	put("own/b.h", "1");
	check(NULL, NULL);
	unlink(path);
	check("one", "");
	free(path);
}

Test(manifest, keeps_eight)
{
	char text[16];

	put("b.h", "1");
	for (int i = 0; i < 9; i++) {
		snprintf(text, sizeof(text), "%d", i);
		put("a.h", text);
		remember(text, text);
	}
	check("8", "8");
	put("a.h", "1");
	check("1", "1");
	put("a.h", "0");
	check(NULL, NULL);
}

Test(manifest, needs_its_object)
{
	struct hash object;
	char *path;

	put("a.h", "1");
	put("b.h", "1");
	remember("one", "");
	object = hash_bytes("one", 3);
	path = store_path(&t.store, "objects", object);
	cr_assert_eq(file_write(path, "oxe", 3, 0644), 0);
	check(NULL, NULL);
	cr_assert(!file_exists(path), "what is not whole is removed");
	free(path);
}

Test(manifest, any_damage_is_found)
{
	char *path = store_path(&t.store, "manifests", t.key);
	struct buffer whole = BUFFER_NULL;

	put("a.h", "1");
	put("b.h", "1");
	remember("one", "w");
	cr_assert_eq(file_read(path, &whole), 0);
	for (size_t n = 0; n < whole.size; n++) {
		cr_assert_eq(file_write(path, whole.data, n, 0644), 0);
		check(NULL, NULL);
	}
	for (size_t n = 0; n < whole.size; n++) {
		whole.data[n] ^= 1;
		cr_assert_eq(file_write(path, whole.data, whole.size, 0644), 0);
		whole.data[n] ^= 1;
		if (n != HASH_TEXT_SIZE - 1) /* but for the newline after the sum */
			check(NULL, NULL);
	}
	buffer_fini(&whole);
	free(path);
}

Test(manifest, trimming_keeps_what_is_used)
{
	cr_assert_eq(store_trim(&t.store), 0);
	put_object("young");
	t.store.limit = 1;
	cr_assert_eq(store_trim(&t.store), 0, "somebody may be about to open it");
	cr_assert(store_has(&t.store, "objects", hash_bytes("young", 5)));
}
