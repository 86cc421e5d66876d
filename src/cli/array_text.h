/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct array;
struct buffer;

/*
 * For people: the elements in aligned columns of at most @width, a line for each row of the
 * last extent, led by its index. Of many lines only the first and last are shown, and how many
 * there are between, unless @all.
 */
void array_put_text(struct buffer *b, const struct array *a, size_t width, bool all);

/* Begins an object of JSON with name, datatype and shape; the caller ends it. */
void array_put_json_head(struct buffer *b, const char *name, const struct array *a);

/* For machines: {"name", "datatype", "shape", "data"}; NaN and infinities are null. */
void array_put_json(struct buffer *b, const struct array *a, bool with_data);
