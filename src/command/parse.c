/* SPDX-License-Identifier: MIT */

/*
 * Not getopt_long(): it takes any unambiguous prefix for an option, so that a new option
 * breaks a script that never used it, and its messages can't suggest anything.
 *
 * The command line is read first and marks what it has set; the environment and then the
 * defaults fill what isn't marked. So nothing is set twice, and a value in the environment
 * that a flag overrides may be nonsense. An operand may set the field of an option: it is
 * then the same as that option.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/suggestion.h"
#include "command/command.h"
#include "command/value.h"

struct parser {
	const struct command *command;
	int argc, at; /* @at: of the next word */
	char **argv;
	void *ret;
	struct buffer *why;
	uint64_t seen; /* rows that are set, a bit each */
	const struct option_row *action;
	size_t n_operands;
	int kept; /* where the next of many operands goes, in @argv */
};

/* Options */

static void mark(struct parser *p, const struct option_row *row)
{
	p->seen |= UINT64_C(1) << (row - p->command->rows);
}

static int take(struct parser *p, const struct option_row *row, const char *source,
		const char *value)
{
	if (row->kind == OPTION_ACTION && !value) {
		p->action = row;
		return 0;
	}
	if (row->kind == OPTION_ACTION) {
		buffer_printf(p->why, "%s takes no value", source);
		return EXIT_USAGE;
	}
	if (!value && !row->argument)
		value = "yes";
	if (!value && p->at < p->argc)
		value = p->argv[p->at++];
	if (!value || !*value) {
		buffer_printf(p->why, "%s needs a value: %s %s", source, source, row->argument);
		return EXIT_USAGE;
	}
	mark(p, row);
	return value_assign(row, source, value, p->ret, p->why);
}

static int refuse_long(struct parser *p, const char *name)
{
	struct suggestion s = { .word = name };

	for (size_t i = 0; i < p->command->n_rows; i++)
		if (command_takes(p->command, &p->command->rows[i]))
			suggestion_consider(&s, p->command->rows[i].name);
	buffer_printf(p->why, "there is no option --%s", name);
	if (s.best)
		buffer_printf(p->why, "; did you mean --%s?", s.best);
	return EXIT_USAGE;
}

static int parse_long(struct parser *p, const char *word)
{
	const struct command *c = p->command;
	const char *equals = strchr(word, '=');
	_cleanup_free_ char *name = xstrndup(word, equals ? (size_t)(equals - word) : strlen(word));
	_cleanup_free_ char *source = xasprintf("--%s", name);

	for (size_t i = 0; i < c->n_rows; i++)
		if (strcmp(c->rows[i].name, name) == 0 && command_takes(c, &c->rows[i]))
			return take(p, &c->rows[i], source, equals ? equals + 1 : NULL);
	return refuse_long(p, name);
}

/* "-j4" and "-j 4"; letters are not joined: there are too few of them. */
static int parse_short(struct parser *p, const char *word)
{
	const char source[] = { '-', word[0], '\0' };

	for (size_t i = 0; i < p->command->n_rows; i++) {
		const struct option_row *row = &p->command->rows[i];

		if (row->letter == word[0] && command_takes(p->command, row) &&
		    (row->argument || !word[1]))
			return take(p, row, source, word[1] ? word + 1 : NULL);
	}
	buffer_printf(p->why, "there is no option -%s", word);
	return EXIT_USAGE;
}

/* Operands */

/* All of them, one after the other; they take the place of words that have been read. */
static int take_many(struct parser *p, const struct operand *o, char *word)
{
	struct words *words = (struct words *)(void *)((char *)p->ret + o->offset);

	if (!words->n)
		words->word = p->argv + p->kept;
	p->argv[p->kept++] = word;
	words->n++;
	return 0;
}

static int refuse_second(struct parser *p, const struct operand *o, const char *first,
			 const char *second)
{
	buffer_printf(p->why, "one %s is taken, not both '%s' and '%s'", o->name, first, second);
	return EXIT_USAGE;
}

static void mark_field(struct parser *p, size_t offset)
{
	for (size_t i = 0; i < p->command->n_rows; i++)
		if (p->command->rows[i].kind != OPTION_ACTION && p->command->rows[i].offset == offset)
			mark(p, &p->command->rows[i]);
}

static int take_one(struct parser *p, const struct operand *o, char *word)
{
	const char **field = (const char **)(void *)((char *)p->ret + o->offset);

	if (*field)
		return refuse_second(p, o, *field, word);
	if (o->kind == OPTION_CHOICE && !(o->hidden && strcmp(o->hidden, word) == 0) &&
	    value_choose(o->choices, o->name, word, p->why) != 0)
		return EXIT_USAGE;
	*field = word;
	mark_field(p, o->offset);
	p->n_operands++;
	return 0;
}

static int parse_operand(struct parser *p, char *word)
{
	const struct command *c = p->command;
	const struct operand *o = p->n_operands < c->n_operands ? &c->operands[p->n_operands] : NULL;

	if (o)
		return o->many ? take_many(p, o, word) : take_one(p, o, word);
	if (c->n_operands == 1)
		return take_one(p, &c->operands[0], word); /* which names both */
	buffer_printf(p->why, "'%s' is one argument too many", word);
	return EXIT_USAGE;
}

/* "-" is a file, "-1" a number. */
static bool is_operand(const char *word)
{
	return word[0] != '-' || !word[1] || isdigit((unsigned char)word[1]);
}

static int parse_words(struct parser *p)
{
	bool options_ended = false;
	int r = 0;

	while (r == 0 && p->at < p->argc && !p->action) {
		char *word = p->argv[p->at++];

		if (options_ended || is_operand(word))
			r = parse_operand(p, word);
		else if (strcmp(word, "--") == 0)
			options_ended = true;
		else if (word[1] == '-')
			r = parse_long(p, word + 2);
		else
			r = parse_short(p, word + 1);
	}
	return r;
}

/* What the command line left open */

static int fill(const struct option_row *row, void *ret, struct buffer *why)
{
	_cleanup_free_ char *variable = option_variable(row);
	const char *value = getenv(variable);

	if (value && *value)
		return value_assign(row, variable, value, ret, why);
	return row->fallback ? value_assign(row, "the default", row->fallback, ret, why) : 0;
}

static int check_operands(struct parser *p)
{
	for (size_t i = p->n_operands; i < p->command->n_operands; i++) {
		if (p->command->operands[i].missing) {
			buffer_puts(p->why, p->command->operands[i].missing);
			return EXIT_USAGE;
		}
	}
	return 0;
}

int command_parse(const struct command *c, int argc, char **argv, void *ret,
		  const struct option_row **ret_action, struct buffer *why)
{
	struct parser p = {
		.command = c, .argc = argc, .at = 1, .argv = argv, .ret = ret, .why = why, .kept = 1,
	};
	int r = parse_words(&p);

	if (r == 0 && !p.action)
		r = check_operands(&p);
	for (size_t i = 0; i < c->n_rows && r == 0 && !p.action; i++)
		if (!(p.seen >> i & 1) && c->rows[i].kind != OPTION_ACTION)
			r = fill(&c->rows[i], ret, why);
	if (r == 0)
		*ret_action = p.action;
	return r;
}
