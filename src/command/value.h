/* SPDX-License-Identifier: MIT */
#pragma once

/* A value, from the text that was typed to the field it is meant for. */

struct buffer;
struct option_row;

/*
 * Sets the field of @row in @ret. @source is what a message calls the option: "--port",
 * "DEVSERVE_PORT". 0, or EXIT_USAGE with a sentence in @why.
 */
int value_assign(const struct option_row *row, const char *source, const char *text, void *ret,
		 struct buffer *why);

/* Whether @text is one of @choices: the same. */
int value_choose(const char *choices, const char *source, const char *text, struct buffer *why);
