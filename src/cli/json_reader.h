/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * JSON, reading
 *
 * A whole document, looked into by JSON pointer ("/deployments/0/name"). What isn't there,
 * or is of another type, is NULL, false or 0: answers of an older or newer server are read
 * as far as they are understood.
 */

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct json_reader;

/* @text may go away afterwards. 0, or -EBADMSG when it isn't JSON. */
int json_reader_new(const char *text, size_t size, struct json_reader **ret);
/* NULL is fine. Returns NULL. */
struct json_reader *json_reader_free(struct json_reader *r);

/* The pointer is a format; nothing in it is escaped. Strings live as long as @r. */
const char *json_reader_string(const struct json_reader *r, const char *pointer, ...)
	__attribute__((format(printf, 2, 3)));
bool json_reader_number(const struct json_reader *r, double *ret, const char *pointer, ...)
	__attribute__((format(printf, 3, 4)));
bool json_reader_bool(const struct json_reader *r, const char *pointer, ...)
	__attribute__((format(printf, 2, 3)));
size_t json_reader_count(const struct json_reader *r, const char *pointer, ...) /* of an array */
	__attribute__((format(printf, 2, 3)));
/* What is there as JSON, to be freed; NULL: nothing. */
char *json_reader_text(const struct json_reader *r, const char *pointer, ...)
	__attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
