/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * JSON, writing
 *
 * Appends JSON text to a buffer; commas are put in by themselves. Keys are string
 * literals or otherwise known good; values are escaped, and bytes that are not
 * UTF-8 become U+FFFD, so that the text is valid whatever goes in. A NULL key is
 * for elements of an array and for the outermost value.
 *
 *	json_object(b, NULL);
 *	json_string(b, "name", name);
 *	json_array(b, "shape");
 *	json_int(b, NULL, 16);
 *	json_array_end(b);
 *	json_object_end(b);
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;

void json_object(struct buffer *b, const char *key);
void json_object_end(struct buffer *b);
void json_array(struct buffer *b, const char *key);
void json_array_end(struct buffer *b);
void json_string(struct buffer *b, const char *key, const char *value); /* NULL: null */
void json_string_n(struct buffer *b, const char *key, const char *value, size_t size);
void json_int(struct buffer *b, const char *key, int64_t value);
void json_uint(struct buffer *b, const char *key, uint64_t value);
void json_double(struct buffer *b, const char *key, double value); /* not finite: null */
void json_bool(struct buffer *b, const char *key, bool value);
void json_raw(struct buffer *b, const char *key, const char *json); /* JSON already */

/*
 * Bytes of the UTF-8 sequence at @s, of which @left are there; 0: there is none (RFC 3629:
 * shortest form only, no surrogates, nothing above U+10FFFF).
 */
size_t json_utf8_length(const char *s, size_t left);
