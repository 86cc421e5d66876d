/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Hash
 *
 * 128 bits of content identity (XXH3; not against an adversary: whoever writes the
 * plugins runs code here anyway). The text form is 32 hex digits.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash {
	uint64_t high, low;
};

#define HASH_TEXT_SIZE 33

struct hash_state;

struct hash hash_bytes(const void *bytes, size_t size);
static inline bool hash_equal(struct hash a, struct hash b)
{
	return a.high == b.high && a.low == b.low;
}
static inline bool hash_is_zero(struct hash h)
{
	return !h.high && !h.low;
}
void hash_text(struct hash h, char ret[HASH_TEXT_SIZE]);
bool hash_from_text(const char *text, struct hash *ret);

/* The content of the file at @path. 0 or -errno. */
int hash_file(const char *path, struct hash *ret);

/* Piece by piece; hash_state_end() frees the state. A string is added with its NUL. */
struct hash_state *hash_state_new(void);
void hash_state_add(struct hash_state *s, const void *bytes, size_t size);
void hash_state_add_string(struct hash_state *s, const char *string);
struct hash hash_state_end(struct hash_state *s);
