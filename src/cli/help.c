/* SPDX-License-Identifier: MIT */

/* What the program says about itself: `help`, `version`, `completion`. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "command/completion.h"
#include "command/manual.h"

struct help_options {
	const char *command;
	bool man;
};

static const struct option_row help_rows[] = {
	OPTION_ROW(help_options, man, "man", 0, NULL, BOOL, NULL, 0, 0,
		   "print the manual page, as roff: devserve help --man | man -l -"),
	OPTION_HELP_ROW,
};

static const struct operand help_operands[] = {
	{ .name = "COMMAND", .kind = OPTION_COMMAND, .offset = offsetof(struct help_options, command) },
};

static int help(void *options)
{
	const struct help_options *o = options;
	_cleanup_buffer_ struct buffer manual = BUFFER_NULL;
	const struct command *c = o->command ? command_find(&cli_program, o->command) : &cli_serve;

	if (!c)
		return cli_unknown_command(o->command);
	if (!o->man)
		return cli_print_help(c);
	program_manual(&cli_program, &manual);
	fputs(manual.data, stdout);
	return EXIT_SUCCESS;
}

const struct command cli_help = {
	.name = "help",
	.help = "print the help of a command",
	.about = "Print the help of COMMAND, or that of devserve.",
	COMMAND_ROWS(help_rows),
	COMMAND_OPERANDS(help_operands),
	.size = sizeof(struct help_options),
	.run = help,
};

static const struct option_row version_rows[] = { OPTION_HELP_ROW };

static int version(void *options)
{
	(void)options;
	return cli_print_version();
}

const struct command cli_version = {
	.name = "version",
	.help = "print the version",
	.about = "Print the version.",
	COMMAND_ROWS(version_rows),
	.size = 1,
	.run = version,
};
