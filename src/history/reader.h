/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reader
 *
 * What a history has to tell: reads the file, beside a server that may be writing it. All strings
 * are the reader's: they live until the next row.
 */

#include <stdbool.h>
#include <stddef.h>
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
	const char *compiler, *flags, *source, *image, *device, *weights; /* "" where not known, or none */
	const char *verdict; /* "FASTER", …; "": none */
	double ratio, low, high; /* old time by new time; 0: not known */
	int64_t served_ms;   /* in all, as of now */
	bool serves;         /* now, as far as the history knows */
	unsigned n_crashes;
	bool accepted;       /* answers that differ were meant to */
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
	uint32_t newest;   /* the highest number; 0: none */
};

typedef void (*history_deployment_fn)(void *context, const struct history_deployment *d);

/* In order of names. Likewise. */
int history_reader_deployments(struct history_reader *r, history_deployment_fn on_deployment, void *context,
			       struct buffer *why);

/* From when to when a generation served. */
struct history_serving {
	const char *deployment;
	uint32_t generation;
	int64_t since, until;  /* until 0: it still does, or the server was killed */
	const char *why;       /* the event that it began with: "swap.done", … */
};

typedef void (*history_serving_fn)(void *context, const struct history_serving *s);

/* The oldest first; of @last, 0: all. @deployment NULL: of all. 0, or a result with a sentence. */
int history_reader_servings(struct history_reader *r, const char *deployment, unsigned last,
			    history_serving_fn on_serving, void *context, struct buffer *why);

/* One generation, with its JSON. 0; DATABASE_MISSING, or another result, with a sentence. */
int history_reader_generation(struct history_reader *r, const char *deployment, uint32_t number,
			      history_row_fn on_row, void *context, struct buffer *why);

typedef void (*history_source_fn)(void *context, const char *path, const char *text, size_t size);

/* The files that a generation was made of, in order of their paths. 0, or a result with a sentence. */
int history_reader_sources(struct history_reader *r, const char *deployment, uint32_t number,
			   history_source_fn on_source, void *context, struct buffer *why);

/* The events of that name about a generation, as JSON, the oldest first. Likewise. */
int history_reader_events(struct history_reader *r, const char *deployment, uint32_t number, const char *name,
			  void (*on_event)(void *context, const char *json), void *context, struct buffer *why);
