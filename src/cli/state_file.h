/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * State file
 *
 * The state of a replica as its last checkpoint has it, value by value. The worker may be writing
 * it: what was read is of one moment if state_file_is_whole() says so afterwards.
 */

#include <stdbool.h>
#include <stdint.h>

#include "state/checkpoint.h"
#include "state/layout.h"

struct buffer;

struct state_file {
	struct checkpoint checkpoint;
	struct layout *layout; /* NULL: not known */
	char *bytes; /* all of it; NULL: it is large, and read piece by piece */
};

#define STATE_FILE_NULL { .checkpoint = { .fd = -1 } }

/* 0; else a sentence in @why. */
int state_file_open(const char *path, struct state_file *ret, struct buffer *why);
void state_file_close(struct state_file *f);
bool state_file_is_whole(const struct state_file *f);

/*
 * All values of @m as JSON: one, or arrays in arrays, each cut after @at_most elements (0: none is).
 * Characters are a string where they are UTF-8. Whether everything is there.
 */
bool state_file_value(const struct state_file *f, const struct layout_member *m, uint64_t at_most, struct buffer *ret);
