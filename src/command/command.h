/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Command
 *
 * What may be typed, as a table: a program is a list of commands, a command a table of
 * options and operands. The parser, `--help`, the manual page and the completions of three
 * shells are made from it (command/parse.c, help.h, manual.h, completion.h), so that none
 * of them can say something else than another.
 *
 * Texts are flowing: whoever prints them breaks the lines. A blank line ends a paragraph.
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

enum option_kind {         /* the field's type, what the text may be */
	OPTION_STRING,     /* const char *: anything; borrowed from argv or environ, as are: */
	OPTION_CHOICE,     /* const char *: one of `choices` */
	OPTION_FILE,       /* const char *: a path */
	OPTION_DIRECTORY,  /* const char *: a path */
	OPTION_DEPLOYMENT, /* const char *: a name; the completions know which there are */
	OPTION_COMMAND,    /* const char *: what may be one of ours */
	OPTION_UNSIGNED,   /* unsigned: digits, from min to max */
	OPTION_BYTES,      /* uint64_t: digits and perhaps K, M, G or T, from min to max */
	OPTION_BOOL,       /* bool: nothing; or, after '=' and in the environment, yes or no */
	OPTION_ACTION,     /* no field: asks for something else than a run; not in the environment */
};

/* The headings that options stand under. */
enum option_section {
	OPTIONS_GENERAL,
	OPTIONS_CHECKING,
	OPTIONS_WATCHING,
	OPTIONS_LISTENING,
	OPTIONS_LIMITS,
	N_OPTION_SECTIONS
};

struct option_row {
	const char *name;     /* "max-body" */
	char letter;          /* the short form, or 0 */
	const char *argument; /* what --help calls the value; NULL: takes none */
	enum option_kind kind;
	const char *fallback; /* the default as one would write it; NULL: 0, false or NULL */
	uint64_t min, max;
	const char *text[2]; /* a clause for the help; sentences for the manual, or NULL */
	size_t offset; /* of the field */
	enum option_section section;
	const char *choices; /* "c c++ cuda" */
};

struct operand {
	const char *name; /* "ROOT" */
	enum option_kind kind;
	size_t offset;       /* of its const char *, or of its struct words */
	bool many;           /* takes all that follow */
	const char *missing; /* what to ask who leaves it out; NULL: it may be */
	const char *choices;
	const char *hidden;  /* a choice that is taken, but offered to nobody; or NULL */
};

/* What an operand that may be given several times has collected; borrowed from argv. */
struct words {
	size_t n;
	char **word;
};

struct example {
	const char *line; /* "devserve status --watch" */
	const char *what; /* it does: a clause */
};

struct exit_status {
	int status;
	const char *meaning; /* a clause */
};

struct command {
	const char *name;  /* "check"; NULL: what runs where no command is named */
	const char *help;  /* a clause that fits on the line */
	const char *about; /* paragraphs */
	const struct example *examples;
	size_t n_examples;
	const struct option_row *rows;
	size_t n_rows;
	unsigned without; /* a bit for each option_section that isn't for this command */
	const struct operand *operands;
	size_t n_operands;
	const struct exit_status *exits; /* what a status means here in particular */
	size_t n_exits;
	size_t size; /* of the struct that options and operands fill */
	int (*run)(void *options); /* the status to exit with */
};

#define COMMAND_ROWS(r) .rows = (r), .n_rows = ARRAY_SIZE(r)
#define COMMAND_OPERANDS(o) .operands = (o), .n_operands = ARRAY_SIZE(o)
#define COMMAND_EXAMPLES(e) .examples = (e), .n_examples = ARRAY_SIZE(e)
#define COMMAND_EXITS(e) .exits = (e), .n_exits = ARRAY_SIZE(e)

/* A row whose value goes to `type.field`; the last argument is a help, or a help and more. */
#define OPTION_ROW(type, field, name, letter, argument, kind, fallback, min, max, ...)   \
	{ name, letter, argument, OPTION_##kind, fallback, min, max, { __VA_ARGS__ }, \
	  offsetof(struct type, field), OPTIONS_GENERAL, NULL }
/* A row that picks one of @choices, words in one string. */
#define OPTION_CHOICE_ROW(type, field, name, letter, argument, choices, fallback, ...)       \
	{ name, letter, argument, OPTION_CHOICE, fallback, 0, 0, { __VA_ARGS__ }, \
	  offsetof(struct type, field), OPTIONS_GENERAL, choices }
#define OPTION_ACTION_ROW(name, letter, help) \
	{ name, letter, NULL, OPTION_ACTION, NULL, 0, 0, { help }, 0, OPTIONS_GENERAL, NULL }
#define OPTION_HELP_ROW OPTION_ACTION_ROW("help", 'h', "print this")

struct program {
	const char *name;        /* "devserve" */
	const char *version, *released;
	const char *purpose;     /* a clause, for the manual's first line */
	const struct command *const *commands; /* the first is the one without a name */
	size_t n_commands;
	const struct exit_status *exits; /* what they mean everywhere */
	size_t n_exits;
	const struct command_page *pages; /* further sections of the manual */
	size_t n_pages;
};

struct command_page {
	const char *title; /* "FILES" */
	const char *const *terms; /* a term, its text, a term, … NULL */
};

/* NULL: there is no such command. */
const struct command *command_find(const struct program *p, const char *name);

/* "devserve check"; free(). */
char *command_full_name(const struct program *p, const struct command *c);

/* "[OPTION]... NAME [INPUT=VALUE]..." */
void command_synopsis(const struct command *c, struct buffer *ret);

static inline const char *option_help(const struct option_row *row)
{
	return row->text[0];
}

static inline const char *option_more(const struct option_row *row)
{
	return row->text[1];
}

/* Whether the row is one that may be given to this command. */
bool command_takes(const struct command *c, const struct option_row *row);

/* "DEVSERVE_MAX_BODY"; free(). */
char *option_variable(const struct option_row *row);

/*
 * Read @argv[1…] and the environment into @ret, which is the command's struct, zeroed.
 * @argv may be reordered. Precedence: the command line, then DEVSERVE_<OPTION> (upper case,
 * '-' becomes '_'; an empty one is as good as none), then the default. Names are never
 * abbreviated.
 *
 * 0; or EXIT_USAGE with a sentence in @why. When an action (--help) was asked for it is in
 * @ret_action, and only what precedes it was read; else that is NULL.
 */
int command_parse(const struct command *c, int argc, char **argv, void *ret,
		  const struct option_row **ret_action, struct buffer *why);
