/* SPDX-License-Identifier: MIT */

/*
 * Needs bash alone, not the package bash-completion. For each command it knows its options,
 * which of them take a value and of what kind, and the kind of each operand; the words that
 * are there tell which of them is being typed. bash splits "--port=80" at the '='.
 */

#include <stdbool.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "command/command.h"
#include "command/completion.h"

static const char *action_of(enum option_kind kind)
{
	switch (kind) {
	case OPTION_FILE:
		return "files";
	case OPTION_DIRECTORY:
		return "directories";
	case OPTION_DEPLOYMENT:
		return "names";
	case OPTION_COMMAND:
		return "commands";
	default:
		return "nothing";
	}
}

/* Whether there is something to offer. */
static bool is_known(enum option_kind kind)
{
	return kind == OPTION_CHOICE || strcmp(action_of(kind), "nothing") != 0;
}

static void put_pattern(struct buffer *b, const struct option_row *row)
{
	if (row->letter)
		buffer_printf(b, "-%c|", row->letter);
	buffer_printf(b, "--%s", row->name);
}

static void put_kind(struct buffer *b, enum option_kind kind, const char *choices)
{
	if (kind == OPTION_CHOICE)
		buffer_printf(b, "kind=words choices='%s'", choices);
	else
		buffer_printf(b, "kind=%s", action_of(kind));
}

static void put_values(struct buffer *b, const struct command *c)
{
	buffer_puts(b, "\t\tcase $option in\n");
	for (size_t i = 0; i < c->n_rows; i++) {
		if (!c->rows[i].argument || !command_takes(c, &c->rows[i]) || !is_known(c->rows[i].kind))
			continue;
		buffer_puts(b, "\t\t");
		put_pattern(b, &c->rows[i]);
		buffer_puts(b, ") ");
		put_kind(b, c->rows[i].kind, c->rows[i].choices);
		buffer_puts(b, " ;;\n");
	}
	buffer_puts(b, "\t\tesac\n");
}

static void put_operands(struct buffer *b, const struct command *c)
{
	buffer_puts(b, "\t\tcase $operand in\n");
	for (size_t i = 0; i < c->n_operands; i++) {
		if (!is_known(c->operands[i].kind))
			continue;
		buffer_printf(b, c->operands[i].many ? "\t\t*) " : "\t\t%zu) ", i);
		put_kind(b, c->operands[i].kind, c->operands[i].choices);
		buffer_puts(b, " ;;\n");
	}
	buffer_puts(b, "\t\tesac ;;\n");
}

static void put_options(struct buffer *b, const struct command *c, bool with_values)
{
	const char *separator = "";

	for (size_t i = 0; i < c->n_rows; i++) {
		if (!command_takes(c, &c->rows[i]) || (with_values && !c->rows[i].argument))
			continue;
		buffer_puts(b, separator);
		if (with_values && c->rows[i].letter)
			buffer_printf(b, "-%c ", c->rows[i].letter);
		buffer_printf(b, "--%s", c->rows[i].name);
		separator = " ";
	}
}

static void put_command(struct buffer *b, const struct command *c,
			void (*put)(struct buffer *, const struct command *))
{
	buffer_printf(b, "\t%s)\n", c->name ? c->name : "*");
	put(b, c);
}

static void put_words(struct buffer *b, const struct command *c)
{
	buffer_puts(b, "\t\toptions='");
	put_options(b, c, false);
	buffer_puts(b, "' valued=' ");
	put_options(b, c, true);
	buffer_puts(b, " ' ;;\n");
}

static void put_kinds(struct buffer *b, const struct command *c)
{
	put_values(b, c);
	buffer_puts(b, "\t\t[ \"$option\" ] ||\n");
	put_operands(b, c);
}

static void put_commands(struct buffer *b, const struct program *p,
			 void (*put)(struct buffer *, const struct command *))
{
	buffer_puts(b, "\tcase $command in\n");
	for (size_t i = 1; i < p->n_commands; i++)
		put_command(b, p->commands[i], put);
	put_command(b, p->commands[0], put);
	buffer_puts(b, "\tesac\n");
}

static void put_names(struct buffer *b, const struct program *p)
{
	for (size_t i = 1; i < p->n_commands; i++)
		buffer_printf(b, "%s%s", i > 1 ? " " : "", p->commands[i]->name);
}

void completion_bash(const struct program *p, struct buffer *ret)
{
	buffer_printf(ret,
		      "# Completion of %s for bash, made by '%s completion bash'.\n\n"
		      "_%s()\n{\n"
		      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} first=2\n"
		      "\tlocal options valued option='' operand=0 kind=nothing choices='' root='' i word\n"
		      "\tlocal commands='",
		      p->name, p->name, p->name);
	put_names(ret, p);
	buffer_puts(ret, "'\n\n"
		      "\tCOMPREPLY=()\n"
		      "\tcase $command in\n"
		      "\t");
	for (size_t i = 1; i < p->n_commands; i++)
		buffer_printf(ret, "%s%s", i > 1 ? "|" : "", p->commands[i]->name);
	buffer_puts(ret, ") [ \"$COMP_CWORD\" -gt 1 ] || command='' first=1 ;;\n"
			 "\t*) command='' first=1 ;;\n"
			 "\tesac\n");
	put_commands(ret, p, put_words);
	buffer_puts(ret, "\tfor ((i = first; i < COMP_CWORD; i++)); do\n"
			 "\t\tword=${COMP_WORDS[i]}\n"
			 "\t\tif [ \"$option\" ] && [ \"$word\" = = ]; then\n"
			 "\t\t\tcontinue\n"
			 "\t\telif [ \"$option\" ]; then\n"
			 "\t\t\t[ \"$option\" != --root ] || root=$word\n"
			 "\t\t\toption=\n"
			 "\t\telif [[ $valued == *\" $word \"* ]]; then\n"
			 "\t\t\toption=$word\n"
			 "\t\telif [[ $word != -* ]]; then\n"
			 "\t\t\toperand=$((operand + 1))\n"
			 "\t\tfi\n"
			 "\tdone\n"
			 "\t[ \"$cur\" != = ] || cur=\n"
			 "\tif [ ! \"$option\" ] && [[ $cur == -* ]]; then\n"
			 "\t\tmapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")\n"
			 "\t\treturn\n"
			 "\tfi\n");
	put_commands(ret, p, put_kinds);
	buffer_printf(ret,
		      "\tcase $kind in\n"
		      "\tfiles)\n"
		      "\t\tcompopt -o filenames 2>/dev/null\n"
		      "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
		      "\tdirectories)\n"
		      "\t\tcompopt -o filenames 2>/dev/null\n"
		      "\t\tmapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n"
		      "\tnames)\n"
		      "\t\tchoices=$(\"${COMP_WORDS[0]}\" completion names ${root:+--root \"$root\"} 2>/dev/null)\n"
		      "\t\tmapfile -t COMPREPLY < <(compgen -W \"$choices\" -- \"$cur\") ;;\n"
		      "\tcommands)\n"
		      "\t\tmapfile -t COMPREPLY < <(compgen -W \"$commands\" -- \"$cur\") ;;\n"
		      "\twords)\n"
		      "\t\tmapfile -t COMPREPLY < <(compgen -W \"$choices\" -- \"$cur\") ;;\n"
		      "\tesac\n"
		      "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
		      "\t\tmapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -W \"$commands\" -- \"$cur\")\n"
		      "\tfi\n}\n\ncomplete -F _%s %s\n", p->name, p->name);
}
