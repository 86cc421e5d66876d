/* SPDX-License-Identifier: MIT */
#include "history/trimming.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "history/database.h"
#include "history/kept.h"

static int64_t count(struct database *d, const char *sql)
{
	sqlite3_stmt *s = database_ask(d, sql, "");
	int64_t n = database_row(s) ? sqlite3_column_int64(s, 0) : 0;

	database_done(d, s);
	return n;
}

static void trim_rows(struct database *d)
{
	database_run(d, "DELETE FROM save WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER"
	       " (PARTITION BY deployment ORDER BY id DESC) AS n FROM save) WHERE n > ?)", "i", (int64_t)HISTORY_SAVES);
	database_run(d, "DELETE FROM generation WHERE NOT pinned AND (deployment, number) IN (SELECT deployment, number FROM"
	       " (SELECT deployment, number, row_number() OVER (PARTITION BY deployment ORDER BY at DESC, number DESC) AS n"
	       " FROM generation) WHERE n > ?)", "i", (int64_t)HISTORY_SAVES);
	database_run(d, "DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?", "i", (int64_t)HISTORY_EVENTS);
	database_run(d, "DELETE FROM serving WHERE until IS NOT NULL AND id <= (SELECT max(id) FROM serving) - ?", "i", (int64_t)(2 * HISTORY_SAVES));
	database_run(d, "DELETE FROM session WHERE id <= (SELECT max(id) FROM session) - ?", "i", (int64_t)HISTORY_SAVES);
}

/* The oldest go first, a thousand generations at a time. */
static void trim_sources(struct database *d)
{
	database_run(d, "DELETE FROM source WHERE NOT EXISTS (SELECT 1 FROM generation AS g WHERE g.deployment ="
			" source.deployment AND g.number = source.generation)", "");
	for (;;) {
		database_run(d, "DELETE FROM content WHERE hash NOT IN (SELECT hash FROM source)", "");
		if (count(d, "SELECT coalesce(sum(length(packed)), 0) FROM content") <= HISTORY_SOURCE_BYTES)
			return;
		database_run(d, "DELETE FROM source WHERE (deployment, generation) IN (SELECT DISTINCT s.deployment, s.generation"
		       " FROM source AS s JOIN generation AS g ON g.deployment = s.deployment AND g.number = s.generation"
		       " WHERE NOT g.pinned ORDER BY g.at LIMIT ?)", "i", (int64_t)1000);
		if (!sqlite3_changes(d->handle))
			return;
	}
}

struct names {
	char **at;
	size_t n;
	int64_t size;
};

static void want(struct names *w, const char *state_dir, const char *hash, const char *suffix)
{
	_cleanup_free_ char *path = NULL;
	struct stat st;
	struct hash h;

	if (!hash_from_text(hash, &h))
		return;
	w->at = xrealloc(w->at, (w->n + 1) * sizeof(*w->at));
	w->at[w->n++] = xasprintf("%s%s", hash, suffix);
	path = kept_path(state_dir, h, suffix);
	if (stat(path, &st) == 0)
		w->size += (int64_t)st.st_blocks * 512;
}

static void trim_images(struct database *d, const char *state_dir)
{
	sqlite3_stmt *s = database_ask(
		d,
		"SELECT image, device, keep FROM (SELECT image, device, at, pinned OR EXISTS (SELECT 1 FROM serving AS s"
		" WHERE s.deployment = g.deployment AND s.generation = g.number AND s.until IS NULL) AS keep,"
		" row_number() OVER (PARTITION BY deployment ORDER BY number DESC) AS n FROM generation AS g"
		" WHERE image IS NOT NULL) WHERE keep OR n <= ? ORDER BY keep DESC, at DESC", "i", (int64_t)HISTORY_IMAGES);
	struct names wanted = { .at = NULL };

	while (database_row(s)) {
		if (!sqlite3_column_int(s, 2) && wanted.size > HISTORY_IMAGE_BYTES)
			break;
		want(&wanted, state_dir, database_text(s, 0), KEPT_IMAGE);
		want(&wanted, state_dir, database_text(s, 1), KEPT_DEVICE);
	}
	if (wanted.n)
		qsort(wanted.at, wanted.n, sizeof(*wanted.at), kept_compare);
	if (s && database_done(d, s) == DATABASE_OK)
		kept_trim(state_dir, wanted.at, wanted.n);
	while (wanted.n)
		free(wanted.at[--wanted.n]);
	free(wanted.at);
}

void trim(struct database *d, const char *state_dir)
{
	if (database_run(d, "BEGIN IMMEDIATE", "") == DATABASE_OK) {
		trim_rows(d);
		trim_sources(d);
		if (database_run(d, "COMMIT", "") != DATABASE_OK)
			database_run(d, "ROLLBACK", "");
	}
	trim_images(d, state_dir);
	database_run(d, "PRAGMA incremental_vacuum", "");
}
