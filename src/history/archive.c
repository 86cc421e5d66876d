/* SPDX-License-Identifier: MIT */

/*
 * The file is looked at before each transaction: somebody may have removed it, or the state
 * directory, while we have it open, and what is written to a file without a name is lost.
 *
 * A broken file is put aside as history.db.broken, with its log, for hands that can mend it; one of
 * a later version is left alone, and nothing is written.
 */

#include "history/archive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "history/database.h"
#include "history/kept.h"
#include "history/trimming.h"
#include "history/writing.h"

#define TRIM_EVERY 64 /* entries */

struct archive {
	char *state_dir, *path, *version;
	struct database database;
	struct stat opened; /* what `database` is open on */
	int64_t session;    /* 0: not begun in this file */
	bool session_is_new; /* not committed yet */
	bool broken;        /* to be put aside */
	unsigned n_since_trim;
};

struct archive *archive_new(const char *state_dir, const char *version)
{
	struct archive *a = xcalloc(1, sizeof(*a));

	a->state_dir = xstrdup(state_dir);
	a->path = path_join(state_dir, "history.db");
	a->version = xstrdup(version);
	a->n_since_trim = TRIM_EVERY; /* the one before may have left something */
	return a;
}

struct archive *archive_free(struct archive *a)
{
	if (!a)
		return NULL;
	database_close(&a->database);
	free(a->state_dir);
	free(a->path);
	free(a->version);
	free(a);
	return NULL;
}

const char *archive_state_dir(const struct archive *a)
{
	return a->state_dir;
}

static int64_t now_ms(void)
{
	return (int64_t)(clock_wall_ns() / NS_PER_MS);
}

/* Opening */

static bool is_the_one(const struct archive *a)
{
	struct stat there;

	return stat(a->path, &there) == 0 && there.st_ino == a->opened.st_ino && there.st_dev == a->opened.st_dev;
}

bool archive_is_there(const struct archive *a)
{
	return a->database.handle && is_the_one(a);
}

static void put_aside(struct archive *a, struct buffer *notice)
{
	static const char *const parts[] = { "", "-wal", "-shm" };

	database_close(&a->database);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		_cleanup_free_ char *from = xasprintf("%s%s", a->path, parts[i]);
		_cleanup_free_ char *to = xasprintf("%s.broken%s", a->path, parts[i]);

		if (rename(from, to) < 0 && errno != ENOENT)
			unlink(from);
	}
	if (!notice->size)
		buffer_printf(notice, "%s was damaged: it is now %s.broken, and a new history begins", a->path, a->path);
}

/* What a server that was killed left open had ended by what it told last. */
static int begin_session(struct archive *a)
{
	struct database *d = &a->database;
	int r = database_run(d, "UPDATE serving SET until = max(since, coalesce((SELECT max(at) FROM event), 0),"
				" coalesce((SELECT max(at) FROM save), 0)) WHERE until IS NULL", "");

	if (r == DATABASE_OK)
		r = database_run(d, "INSERT INTO session(started, version) VALUES(?, ?)", "is", now_ms(), a->version);
	if (r == DATABASE_OK) {
		a->session = sqlite3_last_insert_rowid(d->handle);
		a->session_is_new = true;
	}
	return r;
}

static int open_it(struct archive *a, struct buffer *why)
{
	int r = file_make_directories_from(a->state_dir, a->state_dir);

	a->session = 0;
	if (r < 0) {
		buffer_printf(why, "%s: %s", a->state_dir, strerror(-r));
		return DATABASE_FAILED;
	}
	r = database_open_to_write(&a->database, a->path, why);
	if (r == DATABASE_OK && stat(a->path, &a->opened) < 0)
		r = DATABASE_FAILED;
	return r;
}

static int try_to_begin(struct archive *a, struct buffer *why)
{
	int r = DATABASE_OK;

	if (a->database.handle && !is_the_one(a))
		database_close(&a->database);
	if (!a->database.handle)
		r = open_it(a, why);
	if (r != DATABASE_OK)
		return r;
	r = database_run(&a->database, "BEGIN IMMEDIATE", "");
	if (r == DATABASE_OK && !a->session)
		r = begin_session(a);
	if (r != DATABASE_OK)
		archive_rollback(a, r, why);
	return r;
}

int archive_begin(struct archive *a, struct buffer *notice, struct buffer *why)
{
	int r = a->broken ? DATABASE_BROKEN : try_to_begin(a, why);

	if (r != DATABASE_BROKEN)
		return r;
	buffer_reset(why);
	put_aside(a, notice);
	a->broken = false;
	return try_to_begin(a, why);
}

int archive_commit(struct archive *a, struct buffer *why)
{
	int r = database_run(&a->database, "COMMIT", "");

	if (r != DATABASE_OK)
		archive_rollback(a, r, why);
	else
		a->session_is_new = false;
	return r;
}

void archive_rollback(struct archive *a, int result, struct buffer *why)
{
	if (!why->size) {
		buffer_printf(why, "%s: ", a->path);
		database_explain(&a->database, why);
	}
	a->broken |= result == DATABASE_BROKEN;
	if (!sqlite3_get_autocommit(a->database.handle))
		database_run(&a->database, "ROLLBACK", "");
	if (a->session_is_new)
		a->session = 0;
}

/* Within a transaction, and beside */

int archive_record(struct archive *a, const struct history_entry *e)
{
	a->n_since_trim++;
	return writing_record(&a->database, a->session, a->state_dir, e);
}

/* Zero where the column is NULL. */
static struct hash hash_at(sqlite3_stmt *s, int column)
{
	struct hash h;

	return hash_from_text(database_text(s, column), &h) ? h : (struct hash){ .high = 0 };
}

#define FIND "SELECT number, source, image, device, weights, libraries FROM generation WHERE deployment = ? AND "

static sqlite3_stmt *ask_for(struct archive *a, const char *deployment, uint32_t generation, uint32_t before)
{
	if (generation)
		return database_ask(&a->database, FIND "number = ?", "si", deployment, (int64_t)generation);
	return database_ask(&a->database, FIND "number < ? AND image IS NOT NULL ORDER BY number DESC", "si", deployment,
			    (int64_t)before);
}

static bool is_kept(const struct archive *a, const struct archive_generation *g)
{
	return !hash_is_zero(g->image) && kept_check(a->state_dir, g->image, KEPT_IMAGE) == 0 &&
	       (hash_is_zero(g->device) || kept_check(a->state_dir, g->device, KEPT_DEVICE) == 0);
}

int archive_find(struct archive *a, const char *deployment, uint32_t generation, uint32_t before,
		 struct archive_generation *ret)
{
	sqlite3_stmt *s = ask_for(a, deployment, generation, before);
	struct archive_generation g = { .number = 0 };

	while (!g.has_image && database_row(s)) {
		g = (struct archive_generation){
			.number = (uint32_t)sqlite3_column_int64(s, 0), .source = hash_at(s, 1), .image = hash_at(s, 2),
			.device = hash_at(s, 3), .weights = hash_at(s, 4), .libraries = hash_at(s, 5),
		};
		g.has_image = is_kept(a, &g);
	}
	*ret = g;
	return database_done(&a->database, s);
}

int archive_end_session(struct archive *a, int64_t at_ms)
{
	struct database *d = &a->database;
	int r = database_run(d, "UPDATE serving SET until = ? WHERE until IS NULL", "i", at_ms);

	return r == DATABASE_OK ? database_run(d, "UPDATE session SET ended = ? WHERE id = ?", "ii", at_ms, a->session)
				: r;
}

void archive_trim_sometimes(struct archive *a)
{
	if (a->n_since_trim < TRIM_EVERY)
		return;
	a->n_since_trim = 0;
	trim(&a->database, a->state_dir);
}
