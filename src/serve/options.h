/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Options
 *
 * A command is a table of options and at most one operand. Its parser, its `--help`, the
 * environment it reads and its section of the manual page come from that table. The table
 * of the server is options.def; other commands have theirs beside their code (src/cli/).
 *
 * Precedence: the command line, then DEVSERVE_<OPTION> (upper case, '-' becomes '_'; an
 * empty one is as good as none), then the default. Names are never abbreviated.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;

/* Exit statuses of every command, beside EXIT_SUCCESS and EXIT_FAILURE; an interface. */
enum {
	EXIT_USAGE = 2,
	EXIT_BUILD_FAILED = 4,
	EXIT_UNAVAILABLE = 69, /* no server answers */
};

enum option_kind {       /* the field's type, what the text may be */
	OPTION_STRING,   /* const char *: anything; borrowed from argv or environ */
	OPTION_UNSIGNED, /* unsigned: digits, from min to max */
	OPTION_BYTES,    /* uint64_t: digits and perhaps K, M, G or T, from min to max */
	OPTION_BOOL,     /* bool: nothing; or, after '=' and in the environment, yes or no */
	OPTION_ACTION,   /* bool: asks for something else than a run; not in the environment */
};

struct option_row {
	const char *name;     /* "max-body" */
	char letter;          /* the short form, or 0 */
	const char *argument; /* what --help calls the value; NULL: takes none */
	enum option_kind kind;
	const char *fallback; /* the default as one would write it; NULL: 0, false or NULL */
	uint64_t min, max;
	const char *help;     /* a clause that fits on the line */
	size_t offset;        /* of the field */
};

struct command {
	const char *name;     /* "devserve check"; for messages */
	const char *synopsis; /* what may follow the name: "[OPTION]... [ROOT]" */
	const char *about;    /* a sentence or two */
	const char *examples; /* lines, or NULL */
	const struct option_row *rows;
	size_t n_rows;
	const char *operand;  /* what the synopsis calls it; NULL: takes none */
	size_t operand_offset; /* of its const char *, NULL where it isn't given */
};

struct options {
	const char *root; /* the directory of the deployments, as it was given */
#define OPTION_TYPE_STRING const char *
#define OPTION_TYPE_UNSIGNED unsigned
#define OPTION_TYPE_BYTES uint64_t
#define OPTION_TYPE_BOOL bool
#define OPTION_TYPE_ACTION bool
#define OPTION(field, name, letter, argument, kind, ...) OPTION_TYPE_##kind field;
#include "serve/options.def"
#undef OPTION
};

#define OPTIONS_DEFAULT_ROOT "./plugins"

extern const struct command server_command; /* its fields are those of struct options */

/*
 * Read @argv[1…] and the environment into @ret, which is the command's struct, zeroed.
 * When an action (--help) was asked for, only what precedes it was read. 0, or EXIT_USAGE
 * with a sentence in @why.
 */
int command_parse(const struct command *c, int argc, char **argv, void *ret, struct buffer *why);

/* The same for a command that takes the server's options, and what no single row can say. */
int options_parse(const struct command *c, int argc, char **argv, struct options *ret,
		  struct buffer *why);

/* Whether the root can be served: 0, or -errno with a sentence in @why. */
int options_check_root(const struct options *o, struct buffer *why);

/* Usage, examples, options. */
void command_help(const struct command *c, struct buffer *ret);

/*
 * Where images, records and run.json of @root lie: @state_dir if not NULL, else
 * @root/.devserve, or below the user's cache where @root can't be written. Absolute if
 * the root is; not created. free() it.
 */
char *state_directory(const char *root, const char *state_dir);
