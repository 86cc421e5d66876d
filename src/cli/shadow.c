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
};

static const struct example examples[] = {
	{ "devserve shadow matmul 7", "let generation 7 compute what clients ask for" },
	{ "devserve shadow matmul", "how do the two compare?" },
	{ "devserve shadow matmul off", "end it" },
};

static const struct exit_status exits[] = {
	{ 0, "It computes, or has ended." },
	{ 1, "It can't be, or there is none." },
	{ 69, "No server answers." },
};

static int run(void *options)
{
	return companion_run(&cli_shadow, "shadow", options);
}

const struct command cli_shadow = {
	.name = "shadow",
	.help = "let another generation compute what clients ask for, and compare",
	.about = "Give the generation GENERATION of the deployment NAME copies of its requests and compare what it "
		 "answers with what clients got from the one that serves; nothing of it reaches them. It "
		 "works where nobody else wants the processors, and what it can't keep up with is left out. It "
		 "ends with 'off', when another generation comes to serve, and when its worker crashes. "
		 "Without GENERATION: how the two compare.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	COMMAND_EXITS(exits),
	.size = sizeof(struct companion_options),
	.run = run,
};
