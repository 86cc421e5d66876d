/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Command line
 *
 * The commands: what `devserve` does, each a table and a function in a file of its own.
 * What was asked for goes to stdout, what is said about it to stderr; the exit statuses are
 * those of command/command.h.
 */

#include <stdbool.h>
#include <stddef.h>

#include "command/command.h"

struct buffer;

extern const struct program cli_program;

/* The first is what runs where no command is named: the server. */
extern const struct command cli_serve;
extern const struct command cli_canary;
extern const struct command cli_asan;
extern const struct command cli_accept;
extern const struct command cli_check;
extern const struct command cli_clean;
extern const struct command cli_completion;
extern const struct command cli_diff;
extern const struct command cli_doctor;
extern const struct command cli_gdb;
extern const struct command cli_help;
extern const struct command cli_history;
extern const struct command cli_infer;
extern const struct command cli_inspect;
extern const struct command cli_logs;
extern const struct command cli_new;
extern const struct command cli_pin;
extern const struct command cli_record;
extern const struct command cli_replay;
extern const struct command cli_rollback;
extern const struct command cli_schema;
extern const struct command cli_shadow;
extern const struct command cli_state;
extern const struct command cli_status;
extern const struct command cli_unpin;
extern const struct command cli_test;
extern const struct command cli_version;
extern const struct command cli_wait;

/*
 * The whole of main(): a command wins over a directory of that name ("./status" is the
 * directory). Returns the status to exit with.
 */
int cli_main(int argc, char **argv);

/* Print and return the status to exit with. */
int cli_print_help(const struct command *c);
int cli_print_version(void);
int cli_error(const struct buffer *why); /* "devserve: …", whatever is in it made harmless */
int cli_usage_error(const struct command *c, const struct buffer *why); /* and where help is */
int cli_unknown_command(const char *word);
int cli_unknown_word(const char *word); /* neither a command nor a directory */

/* Wait that long; false at once when what we print to has lost its reader. */
bool cli_pause(int ms);

/* An answer of the server as it is, on one line. */
void cli_print_json(const struct buffer *json);
