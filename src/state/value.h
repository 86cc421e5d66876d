/* SPDX-License-Identifier: MIT */
#pragma once

/* One element of a member, as JSON that people can read as well. */

#include <stdbool.h>
#include <stdint.h>

struct buffer;
struct layout_member;

/* Bytes from the state's first to where element @i lies (the last extent counts fastest), and how many hold it. */
uint64_t value_place(const struct layout_member *m, uint64_t i, uint64_t *ret_size);

/*
 * @bytes: those of value_place(). A number; a constant's name, "nan", what has more than 64 bits
 * and bytes without meaning ("0x…") as strings; a boolean.
 */
void value_json(const struct layout_member *m, const void *bytes, struct buffer *ret);

/* Whether its last extent is the characters of a text. */
bool value_is_text(const struct layout_member *m);
/* @size characters; what follows the first NUL isn't part of it. False, and nothing: they are no UTF-8. */
bool value_text(const void *bytes, uint64_t size, struct buffer *ret);
