/* SPDX-License-Identifier: MIT */

/* The scripts, and what they ask for while somebody types: the names of the deployments. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/names.h"
#include "command/completion.h"
#include "serve/options.h"

struct completion_options {
	const char *shell, *root;
};

static const struct option_row rows[] = {
	OPTION_ROW(completion_options, root, "root", 0, "DIR", DIRECTORY, OPTIONS_DEFAULT_ROOT, 0, 0,
		   "with names: where the deployments are"),
	OPTION_HELP_ROW,
};

static const struct operand operands[] = {
	{ .name = "SHELL",
	  .kind = OPTION_CHOICE,
	  .offset = offsetof(struct completion_options, shell),
	  .missing = "for which shell? bash, zsh or fish",
	  .choices = "bash zsh fish",
	  .hidden = "names" },
};

static const struct example examples[] = {
	{ "eval \"$(devserve completion bash)\"", "for this shell; a line for ~/.bashrc" },
	{ "devserve completion fish | source", "the same for fish" },
};

static void print_name(void *context, const char *name)
{
	(void)context;
	puts(name);
}

static int run(void *options)
{
	const struct completion_options *o = options;
	_cleanup_buffer_ struct buffer script = BUFFER_NULL;

	if (strcmp(o->shell, "bash") == 0)
		completion_bash(&cli_program, &script);
	else if (strcmp(o->shell, "zsh") == 0)
		completion_zsh(&cli_program, &script);
	else if (strcmp(o->shell, "fish") == 0)
		completion_fish(&cli_program, &script);
	else
		names_of_root(o->root, print_name, NULL);
	fputs(buffer_text(&script), stdout);
	return EXIT_SUCCESS;
}

const struct command cli_completion = {
	.name = "completion",
	.help = "print a script that completes commands: bash, zsh, fish",
	.about = "Print a script that completes what is typed to devserve in bash, zsh or fish. "
		 "The scripts ask for 'names', the deployments that are there.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	.size = sizeof(struct completion_options),
	.run = run,
};
