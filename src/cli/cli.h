/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Command line
 *
 * The verbs: what `devserve` does beside serving. Each is a function in a file of its own;
 * its argv[0] is the verb. What was asked for goes to stdout, what is said about it to
 * stderr; the exit statuses are those of serve/options.h.
 */

struct buffer;
struct command;

struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help; /* a clause that fits on the line */
};

/* A verb wins over a directory of that name: "./status" is the directory. NULL: none. */
const struct verb *cli_find_verb(const char *word);

/* Print and return the status to exit with. */
int cli_print_help(const struct command *c);
int cli_print_version(void);
int cli_error(const struct buffer *why);                                  /* "devserve: …" */
int cli_usage_error(const struct command *c, const struct buffer *why);  /* and where help is */
int cli_unknown_word(const char *word); /* neither a verb nor a directory */

/* An answer of the server as it is, on one line. */
void cli_print_json(const struct buffer *json);

int cli_check(int argc, char **argv);
int cli_help(int argc, char **argv);
int cli_version(int argc, char **argv);

int cli_clean(int argc, char **argv);
int cli_logs(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_wait(int argc, char **argv);
