/* SPDX-License-Identifier: MIT */
#include "command/command.h"

#include <ctype.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"

const struct command *command_find(const struct program *p, const char *name)
{
	for (size_t i = 0; i < p->n_commands; i++)
		if (p->commands[i]->name && strcmp(p->commands[i]->name, name) == 0)
			return p->commands[i];
	return NULL;
}

char *command_full_name(const struct program *p, const struct command *c)
{
	return c->name ? xasprintf("%s %s", p->name, c->name) : xstrdup(p->name);
}

void command_synopsis(const struct command *c, struct buffer *ret)
{
	buffer_puts(ret, "[OPTION]...");
	for (size_t i = 0; i < c->n_operands; i++) {
		const struct operand *o = &c->operands[i];

		buffer_printf(ret, o->missing ? " %s" : " [%s]", o->name);
		if (o->many)
			buffer_puts(ret, "...");
	}
}

bool command_takes(const struct command *c, const struct option_row *row)
{
	return !(c->without >> row->section & 1);
}

char *option_variable(const struct option_row *row)
{
	char *name = xasprintf("DEVSERVE_%s", row->name);

	for (char *c = name; *c; c++)
		*c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
	return name;
}
