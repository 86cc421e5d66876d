/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Manifest
 *
 * What one source became under one command: for each set of headers that it was compiled
 * with, the object. The key is a hash of the source, the compiler and the flags; so a
 * manifest says which other files matter, and an entry holds while they have the content
 * that it names.
 */

#include <stdbool.h>

#include "base/hash.h"
#include "build/words.h"

struct contents;
struct store;

struct manifest_entry {
	struct hash object;
	struct hash inputs; /* of the key and of all files that were read */
	struct words paths; /* absolute; the source itself is not among them */
	struct hash *hashes;
	struct hash shadow; /* shadow_hash() */
	char *text;         /* what the compiler printed: warnings */
};

#define MANIFEST_ENTRY_NULL { .text = NULL }

void manifest_entry_fini(struct manifest_entry *e);

/*
 * Find the entry that holds, and whose object is in the store. -ENOENT: none.
 * @searched: the directories where headers are looked for first.
 */
int manifest_find(struct store *s, struct contents *c, struct hash key,
		  const struct words *searched, struct manifest_entry *ret);

/* Put @e in front; the oldest goes beyond the eighth. */
int manifest_add(struct store *s, struct hash key, const struct manifest_entry *e);

/* Fill in e->inputs. */
void manifest_entry_seal(struct manifest_entry *e, struct hash key);

/*
 * Of the files in @searched that the compiler would take instead of one of @paths, because
 * it looks there first. A new one makes an old entry wrong although no header changed.
 */
struct hash shadow_hash(const struct words *searched, const struct words *paths);
