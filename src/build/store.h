/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Store
 *
 * What builds leave for later builds, below the state directory: files named by a hash of
 * their content (objects/, images/), and notes: small texts under a key. Everything is
 * written beside its place and renamed, and checked when it is read, so that a killed
 * process or a bad disk costs a compile and nothing else.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/hash.h"

struct store {
	char *root;      /* the state directory */
	char *temporary; /* a directory of this store alone */
	unsigned n_temporary;
	uint64_t limit;   /* bytes */
	uint64_t written; /* bytes since the last trim */
};

#define STORE_NULL { .root = NULL }

/* 0, or -errno and a sentence in @why. */
int store_open(struct store *s, const char *state_dir, uint64_t limit, struct buffer *why);
/*
 * Make its directories again where somebody removed them meanwhile (git clean). 1: they were
 * gone, with everything in them; 0: all is well; or -errno.
 */
int store_mend(struct store *s);
/* Removes the temporary directory. A null store is fine. */
void store_close(struct store *s);

/* A path for a new file; nothing is there yet. free() */
char *store_temporary(struct store *s, const char *suffix);

/*
 * Move the file at @temporary to its place in @kind ("objects", "images"). It's gone
 * afterwards in any case.
 */
int store_take(struct store *s, const char *kind, const char *temporary, struct hash *ret);
/* Where a file is or would be; free() */
char *store_path(const struct store *s, const char *kind, struct hash h);
/* Whether it's there and whole; marks it as used. A file that isn't whole is removed. */
bool store_has(struct store *s, const char *kind, struct hash h);

/* The sources as they are now make @h, which is there: it is as new as if it had just been made. */
void store_renew(const struct store *s, const char *kind, struct hash h);

/* -ENOENT: there is none, or none that is whole. */
int store_read_note(struct store *s, const char *kind, struct hash key, struct buffer *ret);
int store_write_note(struct store *s, const char *kind, struct hash key, const char *text,
		     size_t size);

/*
 * Remove the least recently used until the store is within its limit; not what has a second name
 * elsewhere, for that would free nothing. Bytes freed, or -errno.
 */
int64_t store_trim(struct store *s);
/* The same once enough was written since the last time. */
void store_trim_sometimes(struct store *s);
