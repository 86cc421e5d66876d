/* SPDX-License-Identifier: MIT */

/*
 * A save that came to serve is listed once, where its generation began: the same number serves
 * again after every restart. What it served and how often it crashed is summed up beforehand, in
 * one pass over each table.
 */

#include "history/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "history/database.h"
#include "history/kept.h"

#define LONGEST_SOURCE (1 << 26) /* more than was ever kept: a size that a damaged file tells is not believed */

struct history_reader {
	struct database database;
	char **kept; /* names of the files, sorted */
	size_t n_kept;
};

int history_reader_open(const char *state_dir, struct history_reader **ret, struct buffer *why)
{
	_cleanup_free_ char *path = path_join(state_dir, "history.db");
	struct database d;
	int r = database_open_to_read(&d, path, why);

	if (r == DATABASE_MISSING)
		buffer_printf(why, "there is no history yet: there is no %s", path);
	if (r != DATABASE_OK)
		return r;
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->database = d;
	(*ret)->n_kept = kept_list(state_dir, &(*ret)->kept);
	return 0;
}

struct history_reader *history_reader_close(struct history_reader *r)
{
	if (!r)
		return NULL;
	database_close(&r->database);
	while (r->n_kept)
		free(r->kept[--r->n_kept]);
	free(r->kept);
	free(r);
	return NULL;
}

static bool is_kept(const struct history_reader *r, const char *hash)
{
	char name[64], *key = name;

	if (!*hash || !r->n_kept)
		return false;
	snprintf(name, sizeof(name), "%s" KEPT_IMAGE, hash);
	return bsearch(&key, r->kept, r->n_kept, sizeof(*r->kept), kept_compare) != NULL;
}

static int finish(struct history_reader *r, sqlite3_stmt *s, struct buffer *why)
{
	int result = database_done(&r->database, s);

	if (result != DATABASE_OK)
		database_explain(&r->database, why);
	return result;
}

/* ?1 deployment, ?2 failures too, ?3 how many, ?4 with JSON, ?5 now or 0, ?6 a number */
#define ROWS(which)                                                                                                 \
	"WITH served AS (SELECT deployment, generation, max(until IS NULL) AS serves, sum(coalesce(until,"          \
	"    CASE WHEN ?5 THEN ?5 ELSE (SELECT max(at) FROM save) END, since) - since) AS ms"                      \
	"  FROM serving GROUP BY deployment, generation),"                                                          \
	" crashed AS (SELECT deployment, generation, count(*) AS n FROM event WHERE name = 'crash.report'"          \
	"  GROUP BY deployment, generation)"                                                                        \
	" SELECT * FROM (SELECT s.id, s.deployment, s.at, coalesce(g.number, 0), s.outcome, s.reason, s.took_us,"   \
	"  g.cached, g.pinned, g.compiler, g.flags, g.source, g.image, g.verdict, g.ratio, g.low, g.high,"          \
	"  coalesce(v.ms, 0), v.serves, coalesce(c.n, 0), g.before, CASE WHEN ?4 THEN g.json END, g.device"         \
	"  FROM save AS s LEFT JOIN generation AS g ON g.deployment = s.deployment AND g.number = s.generation"     \
	"   AND g.at = s.at AND s.outcome = 'swapped'"                                                              \
	"  LEFT JOIN served AS v ON v.deployment = g.deployment AND v.generation = g.number"                        \
	"  LEFT JOIN crashed AS c ON c.deployment = g.deployment AND c.generation = g.number"                       \
	"  WHERE " which " AND (g.number IS NOT NULL OR (?2 AND s.outcome <> 'swapped'))"                           \
	"  ORDER BY s.id DESC LIMIT ?3) ORDER BY 1"

static void read_row(const struct history_reader *r, sqlite3_stmt *s, const struct history_selection *q,
		     struct history_row *ret)
{
	*ret = (struct history_row){
		.deployment = database_text(s, 1),
		.at = sqlite3_column_int64(s, 2),
		.generation = (uint32_t)sqlite3_column_int64(s, 3),
		.outcome = database_text(s, 4),
		.reason = database_text(s, 5),
		.took_us = sqlite3_column_int64(s, 6),
		.cached = sqlite3_column_int(s, 7),
		.pinned = sqlite3_column_int(s, 8),
		.compiler = database_text(s, 9),
		.flags = database_text(s, 10),
		.source = database_text(s, 11),
		.image = database_text(s, 12),
		.verdict = database_text(s, 13),
		.ratio = sqlite3_column_double(s, 14),
		.low = sqlite3_column_double(s, 15),
		.high = sqlite3_column_double(s, 16),
		.served_ms = sqlite3_column_int64(s, 17),
		.serves = q->now_ms && sqlite3_column_int(s, 18),
		.n_crashes = (unsigned)sqlite3_column_int(s, 19),
		.before = (uint32_t)sqlite3_column_int64(s, 20),
		.json = database_text(s, 21),
		.device = database_text(s, 22),
	};
	ret->kept = is_kept(r, ret->image);
}

int history_reader_rows(struct history_reader *r, const struct history_selection *q, history_row_fn on_row,
			void *context, struct buffer *why)
{
	const char *sql = q->deployment ? ROWS("s.deployment = ?1") : ROWS("?1 IS NULL");
	sqlite3_stmt *s = database_ask(&r->database, sql, "siiii", q->deployment, (int64_t)q->fails,
				       q->last ? (int64_t)q->last : INT64_C(-1), (int64_t)q->json, q->now_ms);
	struct history_row row;

	while (database_row(s)) {
		read_row(r, s, q, &row);
		if (!on_row(context, &row))
			break;
	}
	return finish(r, s, why);
}

int history_reader_deployments(struct history_reader *r, history_deployment_fn on_deployment, void *context,
			       struct buffer *why)
{
	sqlite3_stmt *s = database_ask(
		&r->database,
		"SELECT deployment, count(*), max(at), (SELECT count(*) FROM generation AS g WHERE g.deployment ="
		" s.deployment), (SELECT generation FROM serving AS v WHERE v.deployment = s.deployment AND until IS NULL"
		" ORDER BY v.id DESC LIMIT 1), (SELECT max(number) FROM generation AS g WHERE g.deployment = s.deployment)"
		" FROM save AS s GROUP BY deployment ORDER BY deployment", "");

	while (database_row(s))
		on_deployment(context, &(struct history_deployment){
					       .name = database_text(s, 0),
					       .n_saves = (unsigned)sqlite3_column_int(s, 1),
					       .last_ms = sqlite3_column_int64(s, 2),
					       .n_generations = (unsigned)sqlite3_column_int(s, 3),
					       .serving = (uint32_t)sqlite3_column_int64(s, 4),
					       .newest = (uint32_t)sqlite3_column_int64(s, 5),
				       });
	return finish(r, s, why);
}

int history_reader_generation(struct history_reader *r, const char *deployment, uint32_t number,
			      history_row_fn on_row, void *context, struct buffer *why)
{
	const struct history_selection q = { .json = true };
	sqlite3_stmt *s = database_ask(&r->database, ROWS("s.deployment = ?1 AND g.number = ?6"), "siiiii", deployment,
				       INT64_C(0), INT64_C(1), INT64_C(1), INT64_C(0), (int64_t)number);
	bool found = database_row(s);
	struct history_row row;
	int result;

	if (found) {
		read_row(r, s, &q, &row);
		on_row(context, &row);
	}
	result = finish(r, s, why);
	if (result != DATABASE_OK || found)
		return result;
	buffer_printf(why, "there is no generation %u of %s; 'devserve history %s' lists them", number, deployment,
		      deployment);
	return DATABASE_MISSING;
}

static void unpack(sqlite3_stmt *s, history_source_fn on_source, void *context)
{
	uLongf size = (uLongf)sqlite3_column_int64(s, 1);
	_cleanup_free_ char *text = xcalloc(1, size + 1);

	if (size <= LONGEST_SOURCE && uncompress((Bytef *)text, &size, sqlite3_column_blob(s, 2),
						 (uLong)sqlite3_column_bytes(s, 2)) == Z_OK)
		on_source(context, database_text(s, 0), text, size);
}

int history_reader_sources(struct history_reader *r, const char *deployment, uint32_t number,
			   history_source_fn on_source, void *context, struct buffer *why)
{
	sqlite3_stmt *s = database_ask(&r->database,
				       "SELECT s.path, c.size, c.packed FROM source AS s JOIN content AS c USING (hash)"
				       " WHERE s.deployment = ? AND s.generation = ? ORDER BY s.path", "si", deployment,
				       (int64_t)number);

	while (database_row(s))
		unpack(s, on_source, context);
	return finish(r, s, why);
}

int history_reader_events(struct history_reader *r, const char *deployment, uint32_t number, const char *name,
			  void (*on_event)(void *context, const char *json), void *context, struct buffer *why)
{
	sqlite3_stmt *s = database_ask(&r->database,
				       "SELECT json FROM event WHERE deployment = ? AND generation = ? AND name = ? ORDER BY id",
				       "sis", deployment, (int64_t)number, name);

	while (database_row(s))
		on_event(context, database_text(s, 0));
	return finish(r, s, why);
}
