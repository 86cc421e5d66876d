/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "config/schema.h"

static const struct option_row rows[] = { OPTION_HELP_ROW };

static int schema(void *options)
{
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;

	(void)options;
	schema_write(&json);
	cli_print_json(&json);
	return EXIT_SUCCESS;
}

const struct command cli_schema = {
	.name = "schema",
	.help = "print the JSON Schema of deployment.yaml",
	.about = "Print the JSON Schema (draft 7) of deployment.yaml, for editors: its keys, what they take, "
		 "what they mean.\n\n"
		 "It is also installed, as share/devserve/deployment.schema.json below the prefix. An editor "
		 "that has yaml-language-server (VS Code, Neovim, Helix) finds it by the file's first line:\n\n"
		 "# yaml-language-server: $schema=PATH",
	COMMAND_ROWS(rows),
	.size = 1,
	.run = schema,
};
