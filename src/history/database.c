/* SPDX-License-Identifier: MIT */

/*
 * WAL, and synchronous=NORMAL: a commit is in the kernel's hands when it returns, so that it
 * outlives every death of ours, and the disk is waited for at checkpoints only. After a power cut
 * the last commits may be missing; the file is whole.
 */

#include "history/database.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "history/schema.h"

#define BUSY_MS 2000 /* somebody else writes: `sqlite3 history.db` */

static int kind_of(int sqlite)
{
	switch (sqlite & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
	case SQLITE_ERROR: /* of one statement: that it can't be is no fault of the file */
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
		return DATABASE_OK;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return DATABASE_BROKEN;
	default:
		return DATABASE_FAILED;
	}
}

void database_explain(const struct database *d, struct buffer *why)
{
	int error = d->handle ? sqlite3_extended_errcode(d->handle) : SQLITE_NOMEM;

	buffer_puts(why, d->handle ? sqlite3_errmsg(d->handle) : sqlite3_errstr(error));
	if ((error & 0xff) == SQLITE_IOERR && sqlite3_system_errno(d->handle))
		buffer_printf(why, " (%s)", strerror(sqlite3_system_errno(d->handle)));
}

void database_close(struct database *d)
{
	while (d->n_prepared)
		sqlite3_finalize(d->prepared[--d->n_prepared].statement);
	sqlite3_close(d->handle);
	*d = (struct database)DATABASE_NULL;
}

static sqlite3_stmt *prepare(struct database *d, const char *sql)
{
	sqlite3_stmt *s = NULL;

	for (unsigned i = 0; i < d->n_prepared; i++)
		if (d->prepared[i].sql == sql)
			return d->prepared[i].statement;
	if (d->n_prepared == DATABASE_STATEMENTS)
		sqlite3_finalize(d->prepared[--d->n_prepared].statement);
	if (sqlite3_prepare_v3(d->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL) != SQLITE_OK)
		return NULL;
	d->prepared[d->n_prepared].sql = sql;
	d->prepared[d->n_prepared++].statement = s;
	return s;
}

static void bind(sqlite3_stmt *s, const char *types, va_list args)
{
	for (int i = 1; *types; types++, i++) {
		if (*types == 's') {
			sqlite3_bind_text(s, i, va_arg(args, const char *), -1, SQLITE_STATIC);
		} else if (*types == 'i') {
			sqlite3_bind_int64(s, i, va_arg(args, int64_t));
		} else {
			const void *bytes = va_arg(args, const void *);

			sqlite3_bind_blob64(s, i, bytes, va_arg(args, size_t), SQLITE_STATIC);
		}
	}
}

sqlite3_stmt *database_ask(struct database *d, const char *sql, const char *types, ...)
{
	sqlite3_stmt *s = prepare(d, sql);
	va_list args;

	va_start(args, types);
	if (s)
		bind(s, types, args);
	va_end(args);
	return s;
}

bool database_row(sqlite3_stmt *s)
{
	return s && sqlite3_step(s) == SQLITE_ROW;
}

const char *database_text(sqlite3_stmt *s, int column)
{
	const char *text = (const char *)sqlite3_column_text(s, column);

	return text ? text : "";
}

int database_done(struct database *d, sqlite3_stmt *s)
{
	int r;

	if (!s) /* a statement of ours that can't be: these are not our tables */
		return kind_of(sqlite3_errcode(d->handle)) == DATABASE_OK ? DATABASE_BROKEN
									   : kind_of(sqlite3_errcode(d->handle));
	r = sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return kind_of(r);
}

int database_run(struct database *d, const char *sql, const char *types, ...)
{
	sqlite3_stmt *s = prepare(d, sql);
	va_list args;

	va_start(args, types);
	if (s)
		bind(s, types, args);
	va_end(args);
	while (database_row(s))
		;
	return database_done(d, s);
}

/* Opening */

static int64_t pragma(struct database *d, const char *sql)
{
	sqlite3_stmt *s = database_ask(d, sql, "");
	int64_t value = database_row(s) ? sqlite3_column_int64(s, 0) : 0;

	database_done(d, s);
	return value;
}

static int refuse(struct database *d, int result, const char *path, struct buffer *why)
{
	if (result == DATABASE_NEWER)
		buffer_printf(why, "%s is of a later version of devserve", path);
	else if (result == DATABASE_FOREIGN)
		buffer_printf(why, "%s is another program's", path);
	else if (result == DATABASE_BROKEN)
		buffer_printf(why, "%s is no database, or not whole", path);
	if (result == DATABASE_FAILED) {
		buffer_printf(why, "%s: ", path);
		database_explain(d, why);
	}
	database_close(d);
	return result;
}

static int open_file(struct database *d, const char *path, int flags)
{
	int r = sqlite3_open_v2(path, &d->handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

	if (r == SQLITE_OK) {
		sqlite3_busy_timeout(d->handle, BUSY_MS);
		r = sqlite3_exec(d->handle, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
	}
	return kind_of(r);
}

/* Whose file it is: 1 ours, 0 an empty one; or why not. */
static int look(struct database *d, bool *ret_empty)
{
	int64_t application = pragma(d, "PRAGMA application_id"), version = pragma(d, "PRAGMA user_version");

	*ret_empty = pragma(d, "SELECT count(*) FROM sqlite_schema") == 0;
	if (*ret_empty && !application && !version)
		return DATABASE_OK;
	if (application != SCHEMA_APPLICATION)
		return DATABASE_FOREIGN;
	return version > SCHEMA_VERSION ? DATABASE_NEWER : DATABASE_OK;
}

int database_open_to_read(struct database *d, const char *path, struct buffer *why)
{
	bool empty = false;
	int r;

	*d = (struct database)DATABASE_NULL;
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return DATABASE_MISSING;
	r = open_file(d, path, SQLITE_OPEN_READONLY);
	if (r == DATABASE_OK) /* pages are looked at where they lie, not copied */
		sqlite3_exec(d->handle, "PRAGMA mmap_size=268435456", NULL, NULL, NULL);
	if (r == DATABASE_OK)
		r = look(d, &empty);
	if (r == DATABASE_OK && empty) {
		database_close(d);
		return DATABASE_MISSING;
	}
	return r == DATABASE_OK ? r : refuse(d, r, path, why);
}

static int make_tables(struct database *d)
{
	char *sql = sqlite3_mprintf("BEGIN IMMEDIATE; %s PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
				    schema_sql, SCHEMA_APPLICATION, SCHEMA_VERSION);
	int r = sql ? sqlite3_exec(d->handle, sql, NULL, NULL, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	return r == SQLITE_ERROR ? DATABASE_FAILED : kind_of(r);
}

int database_open_to_write(struct database *d, const char *path, struct buffer *why)
{
	bool empty = false;
	int r;

	*d = (struct database)DATABASE_NULL;
	r = open_file(d, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
	if (r == DATABASE_OK)
		r = look(d, &empty);
	if (r == DATABASE_OK && empty)
		r = kind_of(sqlite3_exec(d->handle, "PRAGMA auto_vacuum=INCREMENTAL", NULL, NULL, NULL));
	if (r == DATABASE_OK)
		r = kind_of(sqlite3_exec(d->handle, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
						    "PRAGMA journal_size_limit=4194304; PRAGMA cache_size=-256", NULL, NULL, NULL));
	if (r == DATABASE_OK && empty)
		r = make_tables(d);
	return r == DATABASE_OK ? r : refuse(d, r, path, why);
}
