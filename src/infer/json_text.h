/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * JSON, the text
 *
 * For texts that simdjson has refused, and says little about: a second look, by hand.
 */

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct buffer;

/* The first byte at which it isn't JSON, or is more than is taken here. */
struct json_mistake {
	const char *what; /* static; NULL: it is JSON, all the same */
	size_t line, column; /* of bytes, from 1 */
};
void json_find_mistake(const char *text, size_t size, struct json_mistake *ret);

/*
 * Append @text to @ret, with ".0" behind integers of more than 64 bits: then they are taken
 * for the doubles that they are, as JavaScript prints them. false: there are none, or no memory.
 */
bool json_respell(const char *text, size_t size, struct buffer *ret);

#ifdef __cplusplus
}
#endif
