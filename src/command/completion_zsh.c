/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "command/command.h"
#include "command/completion.h"

/* Inside '…' of the shell, and of a specification of _arguments: [ ] and : are its own. */
static void put_quoted(struct buffer *b, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			buffer_puts(b, "'\\'");
		else if (strchr("[]:\\", *text))
			buffer_putc(b, '\\');
		buffer_putc(b, *text);
	}
}

static void put_action(struct buffer *b, enum option_kind kind, const char *choices)
{
	switch (kind) {
	case OPTION_FILE:
		buffer_puts(b, "_files");
		break;
	case OPTION_DIRECTORY:
		buffer_puts(b, "_files -/");
		break;
	case OPTION_DEPLOYMENT:
		buffer_puts(b, "_devserve_names");
		break;
	case OPTION_COMMAND:
		buffer_puts(b, "_devserve_commands");
		break;
	case OPTION_CHOICE:
		buffer_printf(b, "(%s)", choices);
		break;
	default:
		buffer_puts(b, " ");
	}
}

static void put_row(struct buffer *b, const struct option_row *row)
{
	buffer_puts(b, " \\\n\t\t\t");
	if (row->letter)
		buffer_printf(b, "'(-%c --%s)'{-%c%s,--%s%s}'", row->letter, row->name, row->letter,
			      row->argument ? "+" : "", row->name, row->argument ? "=" : "");
	else
		buffer_printf(b, "'--%s%s", row->name, row->argument ? "=" : "");
	buffer_putc(b, '[');
	put_quoted(b, option_help(row));
	buffer_putc(b, ']');
	if (row->argument) {
		buffer_putc(b, ':');
		put_quoted(b, row->argument);
		buffer_putc(b, ':');
		put_action(b, row->kind, row->choices);
	}
	buffer_putc(b, '\'');
}

static void put_operand(struct buffer *b, const struct operand *o, size_t n)
{
	if (o->many)
		buffer_puts(b, " \\\n\t\t\t'*:");
	else
		buffer_printf(b, " \\\n\t\t\t'%zu:%s", n, o->missing ? "" : ":");
	put_quoted(b, o->name);
	buffer_putc(b, ':');
	put_action(b, o->kind, o->choices);
	buffer_putc(b, '\'');
}

static void put_arguments(struct buffer *b, const struct command *c)
{
	buffer_puts(b, "_arguments -S");
	for (size_t i = 0; i < c->n_rows; i++)
		if (command_takes(c, &c->rows[i]))
			put_row(b, &c->rows[i]);
	for (size_t i = 0; i < c->n_operands; i++)
		put_operand(b, &c->operands[i], i + 1);
	buffer_puts(b, " ;;\n");
}

static void put_command(struct buffer *b, const struct command *c)
{
	buffer_printf(b, "\t%s)\n\t\tshift words; (( CURRENT-- ))\n\t\t", c->name);
	put_arguments(b, c);
}

static void put_list(struct buffer *b, const struct program *p)
{
	buffer_puts(b, "\tcommands=(\n");
	for (size_t i = 1; i < p->n_commands; i++) {
		buffer_printf(b, "\t\t'%s:", p->commands[i]->name);
		put_quoted(b, p->commands[i]->help);
		buffer_puts(b, "'\n");
	}
	buffer_puts(b, "\t)\n");
}

void completion_zsh(const struct program *p, struct buffer *ret)
{
	buffer_printf(ret,
		      "#compdef %s\n"
		      "# Completion of %s for zsh, made by '%s completion zsh'.\n\n"
		      "_%s_names()\n{\n"
		      "\tlocal -a names\n\n"
		      "\tnames=(${(f)\"$(%s completion names 2>/dev/null)\"})\n"
		      "\tcompadd -a names\n}\n\n"
		      "_%s_commands()\n{\n"
		      "\tlocal -a commands\n\n",
		      p->name, p->name, p->name, p->name, p->name, p->name);
	put_list(ret, p);
	buffer_printf(ret, "\t_describe command commands\n}\n\n_%s()\n{\n", p->name);
	buffer_puts(ret, "\tif (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then\n"
			 "\t\t_devserve_commands\n"
			 "\t\t_files -/\n"
			 "\t\treturn\n"
			 "\tfi\n"
			 "\tcase $words[2] in\n");
	for (size_t i = 1; i < p->n_commands; i++)
		put_command(ret, p->commands[i]);
	buffer_puts(ret, "\t*)\n\t\t");
	put_arguments(ret, p->commands[0]);
	buffer_printf(ret, "\tesac\n}\n\n"
			   "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n\t_%s \"$@\"\n"
			   "else\n\tcompdef _%s %s\nfi\n", p->name, p->name, p->name);
}
