/* SPDX-License-Identifier: MIT */

/*
 * Saves, generations and what serves are made of the events that tell them; every other event is
 * kept as it is. A number that comes to serve again with the same source is the same generation;
 * with another one (somebody removed the records of numbers) it is a new one in its place.
 */

#include "history/writing.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/memory.h"
#include "history/database.h"
#include "history/entry.h"
#include "history/kept.h"

struct writing {
	struct database *database;
	int64_t session;
	const char *state_dir;
	const struct history_entry *entry;
};

struct hash_words {
	char source[HASH_TEXT_SIZE], image[HASH_TEXT_SIZE], device[HASH_TEXT_SIZE], weights[HASH_TEXT_SIZE],
		libraries[HASH_TEXT_SIZE];
};

/* NULL for zero. */
static const char *put_hash(struct hash h, char *word)
{
	hash_text(h, word);
	return hash_is_zero(h) ? NULL : word;
}

static int record_event(const struct writing *w)
{
	const struct history_entry *e = w->entry;

	return database_run(w->database,
			    "INSERT INTO event(at, session, deployment, generation, build, name, json) VALUES(?1, ?2, ?3,"
			    " ?4, ?5, ?6, CASE WHEN length(?7) > 65536 THEN json_remove(?7, '$.text') ELSE ?7 END)",
			    "iisiiss", e->at_ms, w->session, e->deployment, (int64_t)e->generation, (int64_t)e->build,
			    e->event, e->json);
}

/* Sources */

static int keep_content(const struct writing *w, const char *hash, const struct history_file *f)
{
	uLongf size = compressBound(f->size);
	_cleanup_free_ void *packed = xmalloc(size);

	if (compress2(packed, &size, (const Bytef *)f->text, f->size, Z_BEST_SPEED) != Z_OK)
		return DATABASE_OK;
	return database_run(w->database, "INSERT OR IGNORE INTO content(hash, size, packed) VALUES(?, ?, ?)", "sib", hash,
			    (int64_t)f->size, packed, (size_t)size);
}

static bool has_content(const struct writing *w, const char *hash)
{
	sqlite3_stmt *s = database_ask(w->database, "SELECT 1 FROM content WHERE hash = ?", "s", hash);
	bool has = database_row(s);

	database_done(w->database, s);
	return has;
}

static int keep_source(const struct writing *w, const struct history_file *f)
{
	char hash[HASH_TEXT_SIZE];
	int r = DATABASE_OK;

	hash_text(f->hash, hash);
	if (!has_content(w, hash))
		r = keep_content(w, hash, f);
	return r == DATABASE_OK ? database_run(w->database,
					       "INSERT OR REPLACE INTO source(deployment, generation, path, hash)"
					       " VALUES(?, ?, ?, ?)", "siss", w->entry->deployment,
					       (int64_t)w->entry->generation, f->path, hash)
				: r;
}

static int keep_sources(const struct writing *w, const struct history_build *b)
{
	int r = DATABASE_OK;

	for (size_t i = 0; i < b->n_files && r == DATABASE_OK; i++)
		r = keep_source(w, &b->files[i]);
	return r;
}

/* A file that can't be kept costs a rollback to it, not the history. */
static void keep_files(const struct writing *w, const struct history_build *b)
{
	if (b->image_path)
		kept_add(w->state_dir, b->image, KEPT_IMAGE, b->image_path);
	if (b->device_path)
		kept_add(w->state_dir, b->device, KEPT_DEVICE, b->device_path);
}

/* Saves */

static int record_save(const struct writing *w)
{
	const struct history_entry *e = w->entry;

	return database_run(w->database,
			    "INSERT INTO save(deployment, at, session, build, outcome, generation, took_us, reason)"
			    " VALUES(?, ?, ?, ?, ?, ?, ?, ?)", "siiisiis", e->deployment, e->at_ms, w->session,
			    (int64_t)e->build, e->outcome, (int64_t)e->generation, (int64_t)(e->took_ns / 1000), e->reason);
}

/* The number is another source's: of a life before, whose records are gone. */
static int forget_namesake(const struct writing *w, const char *source)
{
	const struct history_entry *e = w->entry;
	int r = database_run(w->database, "DELETE FROM generation WHERE deployment = ? AND number = ? AND source IS NOT ?",
			     "sis", e->deployment, (int64_t)e->generation, source);

	if (r != DATABASE_OK || !sqlite3_changes(w->database->handle))
		return r;
	return database_run(w->database, "DELETE FROM source WHERE deployment = ? AND generation = ?", "si", e->deployment,
			    (int64_t)e->generation);
}

static int record_generation(const struct writing *w)
{
	const struct history_entry *e = w->entry;
	const struct history_build *b = e->built;
	struct hash_words h;
	const char *source = put_hash(b->source, h.source);
	int r = forget_namesake(w, source);

	if (r == DATABASE_OK)
		r = database_run(w->database,
				 "INSERT INTO generation(deployment, number, at, before, took_us, cached, compiler, flags,"
				 " source, image, device, weights, libraries, json) VALUES(?1, ?2, ?3, ?4, ?5,"
				 " coalesce(json_extract(?13, '$.cached'), 0), ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
				 " ON CONFLICT DO UPDATE SET image = excluded.image, device = excluded.device,"
				 " weights = excluded.weights, libraries = excluded.libraries",
				 "siiiissssssss", e->deployment, (int64_t)e->generation, e->at_ms, (int64_t)e->from,
				 (int64_t)(e->took_ns / 1000), b->compiler, b->flags, source, put_hash(b->image, h.image),
				 put_hash(b->device, h.device), put_hash(b->weights, h.weights),
				 put_hash(b->libraries, h.libraries), e->json);
	if (r == DATABASE_OK)
		r = keep_sources(w, b);
	if (r == DATABASE_OK)
		keep_files(w, b);
	return r;
}

static int record_save_done(const struct writing *w)
{
	const struct history_entry *e = w->entry;
	int r;

	if (strcmp(e->outcome, "unchanged") == 0)
		return DATABASE_OK;
	r = record_save(w);
	return r == DATABASE_OK && e->built ? record_generation(w) : r;
}

/* Who serves */

static int end_serving(const struct writing *w)
{
	return database_run(w->database, "UPDATE serving SET until = ? WHERE deployment = ? AND until IS NULL", "is",
			    w->entry->at_ms, w->entry->deployment);
}

static int record_serving(const struct writing *w)
{
	const struct history_entry *e = w->entry;
	int r = database_run(w->database, "UPDATE serving SET why = ? WHERE deployment = ? AND generation = ? AND until IS"
					  " NULL", "ssi", e->event, e->deployment, (int64_t)e->generation);

	if (r != DATABASE_OK || sqlite3_changes(w->database->handle)) /* it does already, and now it is known why */
		return r;
	r = end_serving(w);
	if (r != DATABASE_OK)
		return r;
	return database_run(w->database, "INSERT INTO serving(deployment, generation, since, why) VALUES(?, ?, ?, ?)",
			    "siis", e->deployment, (int64_t)e->generation, e->at_ms, e->event);
}

static int record_change(const struct writing *w)
{
	int r = record_serving(w);

	return r == DATABASE_OK ? record_event(w) : r;
}

static int record_verdict(const struct writing *w)
{
	const struct history_entry *e = w->entry;
	int r = record_event(w);

	if (r != DATABASE_OK)
		return r;
	return database_run(w->database,
			    "UPDATE generation SET verdict = json_extract(?1, '$.verdict'), ratio = json_extract(?1, '$.ratio'),"
			    " low = json_extract(?1, '$.interval[0]'), high = json_extract(?1, '$.interval[1]')"
			    " WHERE deployment = ?2 AND number = ?3", "ssi", e->json, e->deployment, (int64_t)e->generation);
}

/* Counted apart: the report itself goes when there are too many events. */
static int record_crash(const struct writing *w)
{
	int r = record_event(w);

	if (r != DATABASE_OK)
		return r;
	return database_run(w->database, "UPDATE generation SET crashes = crashes + 1 WHERE deployment = ? AND number = ?",
			    "si", w->entry->deployment, (int64_t)w->entry->generation);
}

int writing_record(struct database *d, int64_t session, const char *state_dir, const struct history_entry *e)
{
	static const struct {
		const char *event;
		int (*record)(const struct writing *w);
	} table[] = {
		{ "save.done", record_save_done },
		{ "swap.done", record_serving },
		{ "deployment.fell-back", record_change },
		{ "deployment.rolled-back", record_change },
		{ "deployment.removed", end_serving },
		{ "crash.report", record_crash },
		{ "verdict", record_verdict },
	};
	const struct writing w = { d, session, state_dir, e };

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strcmp(table[i].event, e->event) == 0)
			return table[i].record(&w);
	return record_event(&w);
}
