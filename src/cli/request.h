/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Request
 *
 * The inputs of a whole request, as a file has them: {"X": [1,2,3]}, or the protocol's
 * {"inputs": [{"name": …}]}.
 */

#include <stddef.h>

struct array;
struct buffer;
struct model;

/* Fills @ret[i] for the model's i-th input. 0, or EXIT_FAILURE with a sentence. */
int request_values(const struct model *m, const char *text, size_t size, struct array *ret, struct buffer *why);
