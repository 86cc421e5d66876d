/* SPDX-License-Identifier: MIT */
#include "history/trimming.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "history/database.h"
#include "history/kept.h"

static char directory[] = "/tmp/devserve-trimming-XXXXXX";
static struct database d;

static void open_it(void)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	_cleanup_free_ char *path = NULL;

	cr_assert(mkdtemp(directory));
	path = path_join(directory, "history.db");
	cr_assert_eq(database_open_to_write(&d, path, &why), DATABASE_OK, "%s", buffer_text(&why));
}

static void close_it(void)
{
	database_close(&d);
	file_remove_tree(directory);
}

TestSuite(trimming, .init = open_it, .fini = close_it);

static int64_t number(const char *sql)
{
	sqlite3_stmt *s;
	int64_t n;

	cr_assert_eq(sqlite3_prepare_v2(d.handle, sql, -1, &s, NULL), SQLITE_OK, "%s", sqlite3_errmsg(d.handle));
	cr_assert_eq(sqlite3_step(s), SQLITE_ROW);
	n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

static void run(const char *sql)
{
	char *error = NULL;

	cr_assert_eq(sqlite3_exec(d.handle, sql, NULL, NULL, &error), SQLITE_OK, "%s", error);
}

/* Generations 1 … @n of @name, each with a source and an image of its own where @images. */
static void add_generations(const char *name, int n, bool images)
{
	database_run(&d, "BEGIN", "");
	for (int i = 1; i <= n; i++) {
		_cleanup_free_ char *text = xasprintf("%s %d", name, i), *path = path_join(directory, "one");
		struct hash h = hash_bytes(text, strlen(text));
		char word[HASH_TEXT_SIZE];

		hash_text(h, word);
		database_run(&d, "INSERT INTO generation(deployment, number, at, before, took_us, cached, image) VALUES(?, ?, ?,"
				 " 0, 0, 0, ?)", "siis", name, (int64_t)i, (int64_t)i, images ? word : NULL);
		if (!images)
			continue;
		cr_assert_eq(file_write(path, text, strlen(text), 0644), 0);
		cr_assert_eq(kept_add(directory, h, KEPT_IMAGE, path), 0);
		cr_assert_eq(remove(path), 0);
	}
	database_run(&d, "COMMIT", "");
}

static size_t count_kept(void)
{
	char **names;
	size_t n = kept_list(directory, &names);

	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return n;
}

static bool is_kept(const char *name, int n)
{
	_cleanup_free_ char *text = xasprintf("%s %d", name, n);

	return kept_check(directory, hash_bytes(text, strlen(text)), KEPT_IMAGE) == 0;
}

Test(trimming, the_newest_saves_of_each_deployment_stay)
{
	run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20100) INSERT INTO save(deployment, at,"
	    " session, build, outcome, generation, took_us) SELECT 'many', i, 1, i, 'swapped', i, 1 FROM n");
	run("INSERT INTO save(deployment, at, session, build, outcome, generation, took_us) VALUES('few', 1, 1, 1, 'swapped', 1, 1)");
	trim(&d, directory);
	cr_assert_eq(number("SELECT count(*) FROM save WHERE deployment = 'many'"), HISTORY_SAVES);
	cr_assert_eq(number("SELECT min(at) FROM save WHERE deployment = 'many'"), 101);
	cr_assert_eq(number("SELECT count(*) FROM save WHERE deployment = 'few'"), 1);
}

Test(trimming, the_newest_generations_stay_and_what_is_pinned)
{
	add_generations("many", HISTORY_SAVES + 50, false);
	run("UPDATE generation SET pinned = 1 WHERE number = 7");
	run("INSERT INTO content VALUES('aa', 1, x'00'), ('bb', 1, x'00')");
	run("INSERT INTO source VALUES('many', 1, 'a.c', 'aa'), ('many', 7, 'a.c', 'bb')");
	trim(&d, directory);
	cr_assert_eq(number("SELECT count(*) FROM generation"), HISTORY_SAVES + 1);
	cr_assert_eq(number("SELECT min(number) FROM generation"), 7);
	cr_assert_eq(number("SELECT count(*) FROM source"), 1);
	cr_assert_eq(number("SELECT hash = 'bb' FROM content"), 1);
}

Test(trimming, sources_beyond_their_bound_go_the_oldest_first)
{
	add_generations("big", 1200, false);
	run("UPDATE generation SET pinned = 1 WHERE number = 3");
	run("INSERT INTO content SELECT printf('%x', number), 1, zeroblob(100000) FROM generation");
	run("INSERT INTO source SELECT deployment, number, 'a.c', printf('%x', number) FROM generation");
	trim(&d, directory);
	cr_assert_leq(number("SELECT sum(length(packed)) FROM content"), HISTORY_SOURCE_BYTES);
	cr_assert_eq(number("SELECT count(*) FROM source WHERE generation = 3"), 1);
	cr_assert_eq(number("SELECT max(generation) FROM source"), 1200);
	cr_assert_eq(number("SELECT count(*) FROM generation"), 1200);
}

Test(trimming, images_of_the_newest_generations_stay_and_of_what_serves_or_is_pinned)
{
	add_generations("one", 80, true);
	add_generations("two", 10, true);
	run("UPDATE generation SET pinned = 1 WHERE deployment = 'one' AND number = 5");
	run("INSERT INTO serving(deployment, generation, since, why) VALUES('one', 9, 1, 'swap.done')");
	run("INSERT INTO serving(deployment, generation, since, until, why) VALUES('one', 11, 1, 2, 'swap.done')");
	trim(&d, directory);
	cr_assert_eq(count_kept(), HISTORY_IMAGES + 2 + 10);
	cr_assert(is_kept("one", 5) && is_kept("one", 9) && is_kept("one", 31) && is_kept("two", 1));
	cr_assert(!is_kept("one", 11) && !is_kept("one", 30));
}

Test(trimming, an_image_that_is_not_whole_is_not_kept)
{
	struct hash h = hash_bytes("one 1", 5);
	_cleanup_free_ char *path = kept_path(directory, h, KEPT_IMAGE);

	add_generations("one", 1, true);
	cr_assert_eq(kept_check(directory, h, KEPT_IMAGE), 0);
	cr_assert_eq(file_write(path, "half", 4, 0644), 0);
	cr_assert_eq(kept_check(directory, h, KEPT_IMAGE), -ENOENT);
	cr_assert(!file_exists(path));
}

Test(trimming, events_are_bounded)
{
	run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20010) INSERT INTO event(at, session,"
	    " deployment, generation, build, name, json) SELECT i, 1, 'one', 1, 1, 'log', '{}' FROM n");
	trim(&d, directory);
	cr_assert_eq(number("SELECT count(*) FROM event"), HISTORY_EVENTS);
}
