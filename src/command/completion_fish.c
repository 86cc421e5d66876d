/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "command/command.h"
#include "command/completion.h"

static void put_quoted(struct buffer *b, const char *text)
{
	buffer_putc(b, '\'');
	for (; *text; text++) {
		if (strchr("'\\", *text))
			buffer_putc(b, '\\');
		buffer_putc(b, *text);
	}
	buffer_putc(b, '\'');
}

/* What completes a value of that kind; -x: nothing but that. */
static void put_action(struct buffer *b, const struct program *p, enum option_kind kind, const char *choices)
{
	switch (kind) {
	case OPTION_FILE:
		buffer_puts(b, " -F");
		break;
	case OPTION_DIRECTORY:
		buffer_puts(b, " -x -a '(__fish_complete_directories)'");
		break;
	case OPTION_DEPLOYMENT:
		buffer_puts(b, " -x -a '(devserve completion names 2>/dev/null)'");
		break;
	case OPTION_COMMAND:
		buffer_puts(b, " -x -a '");
		for (size_t i = 1; i < p->n_commands; i++)
			buffer_printf(b, "%s%s", i > 1 ? " " : "", p->commands[i]->name);
		buffer_putc(b, '\'');
		break;
	case OPTION_CHOICE:
		buffer_printf(b, " -x -a '%s'", choices);
		break;
	default:
		buffer_puts(b, " -x");
	}
}

/* Which command has been typed. */
static void put_condition(struct buffer *b, const struct program *p, const struct command *c)
{
	buffer_printf(b, "complete -c %s -n ", p->name);
	if (c->name)
		buffer_printf(b, "'__fish_seen_subcommand_from %s'", c->name);
	else
		buffer_puts(b, "__fish_use_subcommand");
}

static void put_row(struct buffer *b, const struct program *p, const struct command *c,
		    const struct option_row *row)
{
	put_condition(b, p, c);
	if (row->letter)
		buffer_printf(b, " -s %c", row->letter);
	buffer_printf(b, " -l %s -d ", row->name);
	put_quoted(b, option_help(row));
	if (row->argument)
		put_action(b, p, row->kind, row->choices);
	buffer_putc(b, '\n');
}

static void put_command(struct buffer *b, const struct program *p, const struct command *c)
{
	if (c->name) {
		buffer_printf(b, "\ncomplete -c %s -n __fish_use_subcommand -a %s -d ", p->name, c->name);
		put_quoted(b, c->help);
		buffer_putc(b, '\n');
	}
	for (size_t i = 0; i < c->n_rows; i++)
		if (command_takes(c, &c->rows[i]))
			put_row(b, p, c, &c->rows[i]);
	for (size_t i = 0; i < c->n_operands; i++) {
		if (c->operands[i].kind == OPTION_STRING)
			continue;
		put_condition(b, p, c);
		put_action(b, p, c->operands[i].kind, c->operands[i].choices);
		buffer_putc(b, '\n');
	}
}

void completion_fish(const struct program *p, struct buffer *ret)
{
	buffer_printf(ret,
		      "# Completion of %s for fish, made by '%s completion fish'.\n\n"
		      "complete -c %s -f\n",
		      p->name, p->name, p->name);
	for (size_t i = 0; i < p->n_commands; i++)
		put_command(ret, p, p->commands[i]);
}
