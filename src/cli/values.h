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
struct model_port;

/*
 * All of the file at @path, "-" being stdin, which may be a pipe: 0, or -errno; -EFBIG for more than
 * an array may have.
 */
int values_read_file(const char *path, struct buffer *ret);

/* A text of the command line for @p. 0, or EXIT_FAILURE with a sentence. */
int values_from_text(const struct model_port *p, const char *text, struct array *ret, struct buffer *why);

/*
 * The array @n of a JSON document; @shape NULL: it is found. 0, or EXIT_FAILURE with a sentence.
 */
int values_from_node(const struct model_port *p, struct node n, const int64_t *shape, struct array *ret,
		     struct buffer *why);

/* json_parse() of a copy in @padded, which lives as long as the nodes. */
int values_parse(const char *text, size_t size, struct buffer *padded, struct node *ret, const char **ret_why);
