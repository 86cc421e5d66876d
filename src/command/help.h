/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct buffer;
struct command;
struct program;

struct help_style {
	size_t width; /* of a line */
	bool color;   /* headings are bold */
};

/* What `devserve CMD --help` prints: usage, examples, commands, options, exit statuses. */
void command_help(const struct program *p, const struct command *c, struct help_style style,
		  struct buffer *ret);
