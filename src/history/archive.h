/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Archive
 *
 * The history of one state directory, to be written: the database and the kept images. One thread
 * at a time. Results are those of history/database.h.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"

struct archive;
struct buffer;
struct history_entry;

/* Opens nothing yet. */
struct archive *archive_new(const char *state_dir, const char *version);
struct archive *archive_free(struct archive *a);

/* It is open, and what it is open on is still what lies there. */
bool archive_is_there(const struct archive *a);

/*
 * Begin to write; opens the file where it isn't open, or isn't the one that lies there any more. A
 * broken one is put aside, with a sentence in @notice, and a new one is begun. What fails has its
 * sentence in @why.
 */
int archive_begin(struct archive *a, struct buffer *notice, struct buffer *why);
/* After archive_begin(): any failure is the end of all that was written since. */
int archive_record(struct archive *a, const struct history_entry *e);
int archive_commit(struct archive *a, struct buffer *why);
void archive_rollback(struct archive *a, int result, struct buffer *why);

/* The server ends, or this part of its life. */
int archive_end_session(struct archive *a, int64_t at_ms);

struct archive_generation {
	uint32_t number; /* 0: there is none */
	struct hash source, image, device, weights, libraries;
	bool has_image;  /* it is kept, and whole */
};

/*
 * What is known of a generation; of the newest before @before that can serve again where @generation
 * is 0. Outside of begin and commit.
 */
int archive_find(struct archive *a, const char *deployment, uint32_t generation, uint32_t before,
		 struct archive_generation *ret);

/* Bring it within its bounds, once enough was recorded since the last time. Outside of begin and commit. */
void archive_trim_sometimes(struct archive *a);

const char *archive_state_dir(const struct archive *a);
