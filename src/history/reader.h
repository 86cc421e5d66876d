/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reader
 *
 * What a history has to tell: reads the file, beside a server that may be writing it. All strings
 * are the reader's: they live until the next row.
 */

#include <stdbool.h>
#include <stdint.h>

struct buffer;
struct history_reader;

/* A save, and what it came to be. Times are milliseconds since 1970. */
struct history_row {
	const char *deployment;
	int64_t at;
	uint32_t generation; /* 0: it didn't come to serve */
	uint32_t before;     /* that served then; 0: none */
	const char *outcome, *reason; /* "swapped", …; "" */
	int64_t took_us;
	bool cached, pinned, kept; /* kept: it can be rolled back to */
	const char *compiler, *flags, *source, *image; /* "" where not known */
	const char *verdict; /* "FASTER", …; "": none */
	double ratio, low, high; /* old time by new time; 0: not known */
	int64_t served_ms;   /* in all, as of now */
	bool serves;         /* now, as far as the history knows */
	unsigned n_crashes;
	const char *json;    /* its save.done; "" */
};

/* False: enough. */
typedef bool (*history_row_fn)(void *context, const struct history_row *row);

/* 0; or a result of history/database.h with a sentence in @why (DATABASE_MISSING: none). */
int history_reader_open(const char *state_dir, struct history_reader **ret, struct buffer *why);
/* NULL is fine. Returns NULL. */
struct history_reader *history_reader_close(struct history_reader *r);

struct history_selection {
	const char *deployment; /* NULL: of all */
	unsigned last;          /* so many, the newest; 0: all */
	bool fails;             /* those that didn't come to serve, too */
	bool json;              /* rows have their save.done */
	int64_t now_ms;         /* 0: no server runs, and nothing serves */
};

/* Saves, the oldest first. 0, or a result with a sentence. */
int history_reader_rows(struct history_reader *r, const struct history_selection *q, history_row_fn on_row,
			void *context, struct buffer *why);

/* A deployment, whether it is still there or not. */
struct history_deployment {
	const char *name;
	unsigned n_saves, n_generations;
	int64_t last_ms;   /* when the last save had ended */
	uint32_t serving;  /* 0: none, as far as the history knows */
};

typedef void (*history_deployment_fn)(void *context, const struct history_deployment *d);

/* In order of names. Likewise. */
int history_reader_deployments(struct history_reader *r, history_deployment_fn on_deployment, void *context,
			       struct buffer *why);
