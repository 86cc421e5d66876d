/* SPDX-License-Identifier: MIT */

/* `devserve test`: golden cases from the command line and in CI, without a server. */

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "serve/options.h"
#include "serve/serve.h"

struct test_options {
	struct options options; /* the first: its rows have its offsets */
	struct words names;
};

static const struct operand operands[] = {
	{ .name = "NAME", .kind = OPTION_DEPLOYMENT, .offset = offsetof(struct test_options, names), .many = true },
};

static const struct example examples[] = {
	{ "devserve test", "are all golden cases answered as they say?" },
	{ "devserve test matmul --root ./kernels", "those of one deployment" },
	{ "prove -e 'devserve test' matmul softmax", "as a part of other tests" },
};

static const struct exit_status exits[] = {
	{ 0, "All are answered as they say, or were skipped for want of a GPU (--strict: 4)." },
	{ 1, "It could not be found out." },
	{ 4, "Some aren't, or a deployment could not be built or loaded." },
	{ 130, "Ctrl-C ended it." },
};

static int run(void *options)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct test_options *o = options;

	if (options_settle(&o->options, &why) != 0)
		return cli_usage_error(&cli_test, &why);
	if (options_check_root(&o->options, &why) < 0)
		return cli_error(&why);
	return serve_test(&o->options, (const char *const *)o->names.word, o->names.n);
}

const struct command cli_test = {
	.name = "test",
	.help = "run golden cases, then exit",
	.about = "Build the deployments NAME, or all in the root, load each in a worker, and run its golden cases "
		 "(NAME/golden/): all of them, whatever time they take, and whatever `gate:` says. Prints TAP: a line "
		 "for each case, in order of names, and what is wrong with it below. A server that runs beside it isn't disturbed.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(options_rows),
	.without = 1 << OPTIONS_WATCHING | 1 << OPTIONS_LISTENING | 1 << OPTIONS_LIMITS,
	COMMAND_OPERANDS(operands),
	COMMAND_EXITS(exits),
	.size = sizeof(struct test_options),
	.run = run,
};
