/* SPDX-License-Identifier: MIT */
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/companion.h"

static const struct option_row rows[] = {
	CLIENT_ROWS,
};

static const struct operand operands[] = {
	{ .name = "NAME",
	  .kind = OPTION_DEPLOYMENT,
	  .offset = offsetof(struct companion_options, client.name),
	  .missing = "which deployment? 'devserve status' lists them" },
	{ .name = "GENERATION", .kind = OPTION_STRING, .offset = offsetof(struct companion_options, generation) },
	{ .name = "SHARE", .kind = OPTION_STRING, .offset = offsetof(struct companion_options, share) },
};

static const struct example examples[] = {
	{ "devserve canary matmul 7 10%", "let generation 7 answer every tenth request" },
	{ "devserve canary matmul", "how do the two compare?" },
	{ "devserve canary matmul off", "end it" },
};

static const struct exit_status exits[] = {
	{ 0, "It serves, or has ended." },
	{ 1, "It can't be, or there is none." },
	{ 69, "No server answers." },
};

static int run(void *options)
{
	struct companion_options *o = options;
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;

	if (o->generation && !o->share && o->generation[0] != 'o') {
		buffer_puts(&why, "which share of the requests? 'devserve canary NAME 7 10%' lets it answer every tenth");
		return cli_usage_error(&cli_canary, &why);
	}
	return companion_run(&cli_canary, "canary", o);
}

const struct command cli_canary = {
	.name = "canary",
	.help = "let another generation answer a share of the requests",
	.about = "Let the generation GENERATION of the deployment NAME answer SHARE of its requests, beside the one "
		 "that serves and answers the others. Which ones is decided by counting them. Each answer says "
		 "which generation it is of (X-Devserve-Generation). It ends with 'off', when another generation "
		 "comes to serve, and when its worker crashes; what was lost with that is answered by the one "
		 "that serves. Without GENERATION: how the two compare.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	COMMAND_EXITS(exits),
	.size = sizeof(struct companion_options),
	.run = run,
};
