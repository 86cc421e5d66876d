/* SPDX-License-Identifier: MIT */

/* Writes into the history beside a server that may be writing it, too; none is needed. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/written.h"
#include "history/pin.h"
#include "serve/options.h"

struct pin_options {
	const char *name, *generation, *root, *state_dir;
};

static const struct option_row rows[] = {
	OPTION_ROW(pin_options, root, "root", 0, "DIR", DIRECTORY, OPTIONS_DEFAULT_ROOT, 0, 0,
		   "the directory of the deployments"),
	OPTION_ROW(pin_options, state_dir, "state-dir", 0, "DIR", DIRECTORY, NULL, 0, 0,
		   "what the server was given as --state-dir"),
	OPTION_HELP_ROW,
};

static const struct operand operands[] = {
	{ .name = "NAME",
	  .kind = OPTION_DEPLOYMENT,
	  .offset = offsetof(struct pin_options, name),
	  .missing = "which deployment? 'devserve history' lists them" },
	{ .name = "GENERATION", .kind = OPTION_STRING, .offset = offsetof(struct pin_options, generation) },
};

static const struct example pin_examples[] = {
	{ "devserve pin matmul", "keep what serves now" },
	{ "devserve pin matmul 7", "keep generation 7" },
};

static const struct example unpin_examples[] = {
	{ "devserve unpin matmul 7", "let generation 7 go as others do" },
};

/* 0: there is none. */
static uint32_t number_of(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	return *text >= '0' && *text <= '9' && !*end && n <= UINT32_MAX ? (uint32_t)n : 0;
}

static int set(const struct command *c, const struct pin_options *o, bool pinned)
{
	_cleanup_free_ char *directory = state_directory(o->root, o->state_dir);
	uint32_t generation = o->generation ? number_of(o->generation) : 0;
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;

	if (o->generation && !generation) {
		buffer_printf(&why, "'%s' is no number of a generation", o->generation);
		return cli_usage_error(c, &why);
	}
	cli_await_history(o->root, o->state_dir);
	if (history_pin(directory, o->name, generation, pinned, &generation, &why) != 0)
		return cli_error(&why);
	printf("%s  gen %" PRIu32 "  %s\n", o->name, generation, pinned ? "pinned" : "unpinned");
	return EXIT_SUCCESS;
}

static int pin(void *options)
{
	return set(&cli_pin, options, true);
}

static int unpin(void *options)
{
	return set(&cli_unpin, options, false);
}

const struct command cli_pin = {
	.name = "pin",
	.help = "keep a generation for good",
	.about = "Keep what it takes to roll back to GENERATION of the deployment NAME (without GENERATION: to what "
		 "serves), and its sources, for as long as it is pinned. What isn't pinned goes when fifty newer "
		 "generations have come. No server is needed.",
	COMMAND_EXAMPLES(pin_examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	.size = sizeof(struct pin_options),
	.run = pin,
};

const struct command cli_unpin = {
	.name = "unpin",
	.help = "keep a generation as others are kept",
	.about = "Take back a 'devserve pin'.",
	COMMAND_EXAMPLES(unpin_examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	.size = sizeof(struct pin_options),
	.run = unpin,
};
