/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Values
 *
 * What a person writes for a tensor: "1,2,3", "0..15", "1*16", "[[1,2],[3,4]]", text for
 * BYTES, "@FILE"; or a member of a JSON document. The shape is what the model leaves open.
 */

#include "infer/json_parse.h"

struct array;
struct buffer;
struct model;
struct model_port;

/*
 * All of the file at @path, "-" being stdin, which may be a pipe: 0, or -errno; -EFBIG for more than
 * an array may have.
 */
int values_read_file(const char *path, struct buffer *ret);

/* A text of the command line for @p. 0, or EXIT_FAILURE with a sentence. */
int values_from_text(const struct model_port *p, const char *text, struct array *ret, struct buffer *why);

/*
 * A whole request: {"X": [1,2,3]}, or the protocol's {"inputs": [{"name": …}]}. Fills
 * @ret[i] for the model's i-th input. 0, or EXIT_FAILURE with a sentence.
 */
int values_from_request(const struct model *m, const char *text, size_t size, struct array *ret,
			struct buffer *why);
