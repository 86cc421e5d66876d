/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Options
 *
 * What the server and `devserve check` may be told: the table is options.def, command.h says
 * what its columns mean and what is made of it. Other commands have their rows beside their
 * code (src/cli/).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "command/command.h"

struct buffer;

#define OPTIONS_DEFAULT_ROOT "./plugins"

struct options {
#define OPTION_TYPE_STRING const char *
#define OPTION_TYPE_FILE const char *
#define OPTION_TYPE_DIRECTORY const char *
#define OPTION_TYPE_CHOICE const char *
#define OPTION_TYPE_UNSIGNED unsigned
#define OPTION_TYPE_BYTES uint64_t
#define OPTION_TYPE_BOOL bool
#define OPTION(field, name, letter, argument, kind, ...) OPTION_TYPE_##kind field;
#include "serve/options.def"
#undef OPTION
};

enum {
	N_OPTIONS_ROWS = 0
#define OPTION(field, ...) + 1
#include "serve/options.def"
#undef OPTION
	+ 2 /* --help and --version */
};

extern const struct option_row options_rows[N_OPTIONS_ROWS];

/* What no single row can say, after command_parse(). 0, or EXIT_USAGE with a sentence in @why. */
int options_settle(struct options *o, struct buffer *why);

/* Whether the root can be served: 0, or -errno with a sentence in @why. */
int options_check_root(const struct options *o, struct buffer *why);

/*
 * Where images, records and run.json of @root lie: @state_dir if not NULL, else
 * @root/.devserve, or below the user's cache where @root can't be written. Absolute if
 * the root is; not created. free() it.
 */
char *state_directory(const char *root, const char *state_dir);
