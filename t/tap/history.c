/* SPDX-License-Identifier: MIT */

/*
 * The history between the loop and the thread that writes: what is told while it writes is written
 * next, in order; who asks is answered with all that was told before; who has gone isn't answered.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/file.h"
#include "base/memory.h"
#include "history/database.h"
#include "history/entry.h"
#include "history/history.h"

#define MANY 300

static unsigned n_tests, n_failed;

static void ok(bool good, const char *what)
{
	n_failed += !good;
	printf("%sok %u - %s\n", good ? "" : "not ", ++n_tests, what);
}

struct story {
	uv_loop_t loop;
	struct history *history;
	char *directory;
	unsigned n_answers, n_wrong, n_notices;
	struct history_request *dropped;
};

static void tell(struct story *s, uint32_t generation)
{
	char text[64];
	const struct history_file file = { .path = "one/one.c", .text = text, .hash = hash_bytes(&generation, 4),
					   .size = (size_t)snprintf(text, sizeof(text), "/* %u */", generation) };
	const struct history_build built = { .source = hash_bytes(&generation, 4), .files = &file, .n_files = 1 };

	history_add(s->history, &(struct history_entry){ .at_ms = generation, .event = "save.done", .deployment = "one",
							 .generation = generation, .from = generation - 1,
							 .build = generation, .outcome = "swapped", .json = "{}",
							 .built = &built });
}

static void on_answer(void *context, const struct history_answer *a)
{
	struct story *s = context;

	s->n_answers++;
	s->n_wrong += a->error || a->generation != s->n_answers || a->image_path ||
		      !hash_equal(a->source, hash_bytes(&a->generation, 4));
}

static void on_dropped(void *context, const struct history_answer *a)
{
	struct story *s = context;

	(void)a;
	s->n_wrong++;
}

static void on_notice(void *context, const char *sentence)
{
	struct story *s = context;

	printf("# %s\n", sentence);
	s->n_notices++;
}

static void begin(struct story *s, const char *directory)
{
	*s = (struct story){ .directory = xstrdup(directory) };
	uv_loop_init(&s->loop);
	s->history = history_new(&s->loop, &(struct history_options){ .state_dir = directory, .version = "0",
								      .notice = on_notice, .context = s });
}

static void end(struct story *s)
{
	history_free(s->history);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	uv_loop_close(&s->loop);
	free(s->directory);
}

static int64_t count(const char *directory, const char *sql)
{
	_cleanup_free_ char *path = path_join(directory, "history.db");
	sqlite3 *db;
	sqlite3_stmt *s;
	int64_t n = -1;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK) {
		if (sqlite3_step(s) == SQLITE_ROW)
			n = sqlite3_column_int64(s, 0);
		sqlite3_finalize(s);
	}
	sqlite3_close(db);
	return n;
}

static void test_order(const char *directory)
{
	struct story s;

	begin(&s, directory);
	for (uint32_t i = 1; i <= MANY; i++) {
		tell(&s, i);
		history_find(s.history, "one", i, 0, on_answer, &s);
		if (i % 7 == 0)
			history_cancel(history_find(s.history, "one", i, 0, on_dropped, &s));
		uv_run(&s.loop, UV_RUN_NOWAIT);
	}
	while (s.n_answers < MANY)
		uv_run(&s.loop, UV_RUN_ONCE);
	ok(!s.n_wrong && !s.n_notices, "each question is answered once, in order, with what was told before it");
	tell(&s, MANY + 1);
	end(&s);
	ok(count(directory, "SELECT count(*) FROM generation") == MANY + 1, "what was told last is written before the end");
	ok(count(directory, "SELECT count(*) FROM session WHERE ended IS NOT NULL") == 1, "the end is written");
}

static void test_end_in_between(const char *directory)
{
	int64_t before = count(directory, "SELECT count(*) FROM save");
	struct story s;

	begin(&s, directory);
	for (uint32_t i = 1; i <= 20; i++)
		tell(&s, MANY + 1 + i);
	history_find(s.history, "one", 1, 0, on_dropped, &s);
	end(&s); /* the thread is at it */
	ok(!s.n_wrong, "nobody is answered once it has ended");
	ok(count(directory, "SELECT count(*) FROM save") == before + 20, "and all is written all the same");
}

static void test_nowhere(void)
{
	struct story s;

	begin(&s, "/nonexistent/devserve");
	tell(&s, 1);
	while (!s.n_notices)
		uv_run(&s.loop, UV_RUN_ONCE);
	for (uint32_t i = 2; i < 50; i++)
		tell(&s, i);
	end(&s);
	ok(s.n_notices == 1, "what can't be written is said once, and the end doesn't wait for it");
}

int main(void)
{
	char directory[] = "/tmp/devserve-history-XXXXXX";

	if (!mkdtemp(directory))
		return 1;
	test_order(directory);
	test_end_in_between(directory);
	test_nowhere();
	file_remove_tree(directory);
	printf("1..%u\n", n_tests);
	return n_failed != 0;
}
