/* SPDX-License-Identifier: MIT */

/*
 * A save that came to serve is listed once, where its generation began: the same number serves
 * again after every restart. So generations are read, which lie in order, and saves that failed, and
 * both are merged by time; nothing is sorted, and what isn't asked for isn't looked up.
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

/*
 * ?1 deployment, ?2 the first number, ?3 whether to read what only JSON has, ?4 now or 0. What it served
 * is in half milliseconds, and odd where it serves now: one look instead of two.
 */
#define GENERATIONS(which, order)                                                                                   \
	"SELECT g.deployment, g.at, g.number, g.took_us, g.cached, g.pinned, g.image, g.verdict, g.ratio, g.low,"   \
	" g.high, g.before, (SELECT 2 * sum(coalesce(until, CASE WHEN ?4 THEN ?4 ELSE (SELECT max(at) FROM save)"   \
	" END, since) - since) + max(until IS NULL) FROM serving AS v WHERE v.deployment = g.deployment AND"        \
	" v.generation = g.number), g.crashes, CASE WHEN ?3 THEN g.compiler END, CASE WHEN ?3 THEN g.flags END,"    \
	" CASE WHEN ?3 THEN g.source END, CASE WHEN ?3 THEN g.device END, CASE WHEN ?3 THEN g.json END,"            \
	" json_extract(g.json, '$.proof.accepted'), CASE WHEN ?3 THEN g.weights END"                                \
	" FROM generation AS g WHERE " which " AND g.number >= ?2 ORDER BY " order

static void read_generation(const struct history_reader *r, sqlite3_stmt *s, const struct history_selection *q,
			    struct history_row *ret)
{
	*ret = (struct history_row){
		.deployment = database_text(s, 0),
		.at = sqlite3_column_int64(s, 1),
		.generation = (uint32_t)sqlite3_column_int64(s, 2),
		.outcome = "swapped",
		.reason = "",
		.took_us = sqlite3_column_int64(s, 3),
		.cached = sqlite3_column_int(s, 4),
		.pinned = sqlite3_column_int(s, 5),
		.image = database_text(s, 6),
		.verdict = database_text(s, 7),
		.ratio = sqlite3_column_double(s, 8),
		.low = sqlite3_column_double(s, 9),
		.high = sqlite3_column_double(s, 10),
		.before = (uint32_t)sqlite3_column_int64(s, 11),
		.served_ms = sqlite3_column_int64(s, 12) >> 1,
		.serves = q->now_ms && (sqlite3_column_int64(s, 12) & 1),
		.n_crashes = (unsigned)sqlite3_column_int(s, 13),
		.compiler = database_text(s, 14),
		.flags = database_text(s, 15),
		.source = database_text(s, 16),
		.device = database_text(s, 17),
		.json = database_text(s, 18),
		.accepted = sqlite3_column_int(s, 19) > 0,
		.weights = database_text(s, 20),
	};
	ret->kept = is_kept(r, ret->image);
}

/* ?1 deployment, ?2 the first id */
#define FAILURES(which)                                                                                             \
	"SELECT deployment, at, outcome, reason, took_us FROM save WHERE " which " AND id >= ?2"                    \
	" AND outcome <> 'swapped' ORDER BY id"

static void read_failure(sqlite3_stmt *s, struct history_row *ret)
{
	*ret = (struct history_row){
		.deployment = database_text(s, 0), .at = sqlite3_column_int64(s, 1), .outcome = database_text(s, 2),
		.reason = database_text(s, 3), .took_us = sqlite3_column_int64(s, 4), .compiler = "", .flags = "",
		.source = "", .image = "", .device = "", .weights = "", .verdict = "", .json = "",
	};
}

/* Both in order of time: the rows of one and of the other, as they come. */
struct merge {
	sqlite3_stmt *generations, *failures;
	bool has_generation, has_failure; /* a row that is next */
	uint64_t skip;                    /* so many come before the first that is wanted */
};

static bool next_is_generation(const struct merge *m)
{
	return m->has_generation &&
	       (!m->has_failure || sqlite3_column_int64(m->generations, 1) <= sqlite3_column_int64(m->failures, 1));
}

static void step(struct merge *m, bool generation)
{
	if (generation)
		m->has_generation = database_row(m->generations);
	else
		m->has_failure = database_row(m->failures);
}

static void run_merge(const struct history_reader *r, struct merge *m, const struct history_selection *q,
		      history_row_fn on_row, void *context)
{
	struct history_row row;
	bool more = true;

	step(m, true);
	if (m->failures)
		step(m, false);
	while (more && (m->has_generation || m->has_failure)) {
		bool generation = next_is_generation(m);

		if (m->skip) {
			m->skip--;
		} else {
			if (generation)
				read_generation(r, m->generations, q, &row);
			else
				read_failure(m->failures, &row);
			more = on_row(context, &row);
		}
		step(m, generation);
	}
}

/* The @last newest of each kind begin here; how many there are is added to @ret_n. */
static int64_t first_of(struct history_reader *r, const char *sql, const struct history_selection *q, uint64_t *ret_n)
{
	sqlite3_stmt *s = database_ask(&r->database, sql, "si", q->deployment, (int64_t)q->last);
	int64_t first = 0;

	if (database_row(s)) {
		first = sqlite3_column_int64(s, 0);
		*ret_n += (uint64_t)sqlite3_column_int64(s, 1);
	}
	database_done(&r->database, s);
	return first;
}

#define FIRST(what, from, which) \
	"SELECT min(" what "), count(*) FROM (SELECT " what " FROM " from " WHERE " which " ORDER BY " what " DESC LIMIT ?2)"

int history_reader_rows(struct history_reader *r, const struct history_selection *q, history_row_fn on_row,
			void *context, struct buffer *why)
{
	struct database *d = &r->database;
	int64_t number = 0, id = 0;
	uint64_t n = 0;
	struct merge m = { .skip = 0 };
	int result;

	if (q->last && q->deployment)
		number = first_of(r, FIRST("number", "generation", "deployment = ?1"), q, &n);
	if (q->last && q->fails)
		id = q->deployment ? first_of(r, FIRST("id", "save", "deployment = ?1 AND outcome <> 'swapped'"), q, &n)
				   : first_of(r, FIRST("id", "save", "?1 IS NULL AND outcome <> 'swapped'"), q, &n);
	if (q->last && !q->deployment) {
		uint64_t all = 0;

		first_of(r, "SELECT 0, count(*) FROM generation WHERE ?1 IS NULL AND ?2", q, &all);
		n += all;
	}
	m.skip = q->last && n > q->last ? n - q->last : 0;
	m.generations = database_ask(d, q->deployment ? GENERATIONS("g.deployment = ?1", "g.number")
						      : GENERATIONS("?1 IS NULL", "g.at"),
				     "siii", q->deployment, number, (int64_t)q->json, q->now_ms);
	if (q->fails)
		m.failures = database_ask(d, q->deployment ? FAILURES("deployment = ?1") : FAILURES("?1 IS NULL"), "si",
					  q->deployment, id);
	run_merge(r, &m, q, on_row, context);
	result = finish(r, m.generations, why);
	return q->fails && result == DATABASE_OK ? finish(r, m.failures, why) : result;
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
	sqlite3_stmt *s = database_ask(&r->database, GENERATIONS("g.deployment = ?1", "g.number LIMIT 1"), "siii",
				       deployment, (int64_t)number, INT64_C(1), INT64_C(0));
	bool found = database_row(s) && sqlite3_column_int64(s, 2) == number;
	struct history_row row;
	int result;

	if (found) {
		read_generation(r, s, &q, &row);
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

int history_reader_servings(struct history_reader *r, const char *deployment, unsigned last,
			    history_serving_fn on_serving, void *context, struct buffer *why)
{
	sqlite3_stmt *s = database_ask(&r->database,
				       "SELECT * FROM (SELECT deployment, generation, since, until, why, id FROM serving"
				       " WHERE ?1 IS NULL OR deployment = ?1 ORDER BY id DESC LIMIT ?2) ORDER BY id", "si",
				       deployment, last ? (int64_t)last : INT64_C(-1));

	while (database_row(s))
		on_serving(context, &(struct history_serving){
					    .deployment = database_text(s, 0),
					    .generation = (uint32_t)sqlite3_column_int64(s, 1),
					    .since = sqlite3_column_int64(s, 2),
					    .until = sqlite3_column_int64(s, 3),
					    .why = database_text(s, 4),
				    });
	return finish(r, s, why);
}
