/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Database
 *
 * A SQLite file of ours: opened, brought to our version, and asked. One thread at a time.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sqlite3.h>

struct buffer;

#define DATABASE_STATEMENTS 64

struct database {
	sqlite3 *handle; /* NULL: not open */
	struct {
		const char *sql; /* the literal: its address tells it from others */
		sqlite3_stmt *statement;
	} prepared[DATABASE_STATEMENTS];
	unsigned n_prepared;
};

#define DATABASE_NULL { .handle = NULL }

enum {
	DATABASE_OK,
	DATABASE_MISSING, /* there is no such file */
	DATABASE_NEWER,   /* a later version of ours made it */
	DATABASE_FOREIGN, /* another program's */
	DATABASE_BROKEN,  /* it is no database, or not whole */
	DATABASE_FAILED,  /* locked, no room, not permitted, …: another time it may do */
};

/*
 * One of the above; where it isn't DATABASE_OK, a sentence in @why, and nothing is open.
 * To read: the file is left as it is. To write: it is made where it is missing.
 */
int database_open_to_read(struct database *d, const char *path, struct buffer *why);
int database_open_to_write(struct database *d, const char *path, struct buffer *why);
void database_close(struct database *d);

/*
 * A statement, ready to be stepped, with its parameters bound from @types: 's' a string or NULL,
 * 'i' an int64_t, 'b' bytes and their size_t. All borrowed until database_done(). NULL: it can't be.
 * @sql must be a literal.
 */
sqlite3_stmt *database_ask(struct database *d, const char *sql, const char *types, ...);

/* Whether there is a row, or a further one. */
bool database_row(sqlite3_stmt *s);
/* "" where it is NULL. */
const char *database_text(sqlite3_stmt *s, int column);

/* It is reset. What a statement came to: DATABASE_OK, DATABASE_BROKEN or DATABASE_FAILED. */
int database_done(struct database *d, sqlite3_stmt *s);

/* All of it: a statement without rows. The same results. */
int database_run(struct database *d, const char *sql, const char *types, ...);

/* The last error, as a person may read it. */
void database_explain(const struct database *d, struct buffer *why);
