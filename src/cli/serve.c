/* SPDX-License-Identifier: MIT */

/* The server itself, and `devserve check`: the same table of options. */

#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "serve/options.h"
#include "serve/serve.h"

static const struct operand operands[] = {
	{ .name = "ROOT", .kind = OPTION_DIRECTORY, .offset = offsetof(struct options, root) },
};

static const struct example serve_examples[] = {
	{ "devserve", "serve ./plugins on http://127.0.0.1:8000" },
	{ "devserve ./kernels --port 0", "serve ./kernels on a free port" },
};

static const struct example check_examples[] = {
	{ "devserve check", "can everything in ./plugins serve?" },
	{ "devserve check ./kernels --json", "the same as events, one a line" },
};

static const struct exit_status check_exits[] = {
	{ 0, "All could serve, or were skipped: they build, and need a GPU that isn't here (--strict: 4)." },
	{ 1, "It could not be found out." },
	{ 4, "Some deployment could not: it doesn't compile or link, its deployment.yaml or its "
	     "weights are wrong, its image is refused, or its trial failed." },
	{ 130, "Ctrl-C ended it." },
};

/* "statsu": no path, so it was meant for a command rather than for a directory. */
static bool is_misspelt(const struct options *o)
{
	return !strchr(o->root, '/') && !file_exists(o->root);
}

/* Of the usual root, by the name of what it lies in. */
static bool is_deployment(const char *name)
{
	_cleanup_free_ char *path = path_join(OPTIONS_DEFAULT_ROOT, name);

	return file_is_directory(path);
}

static int run(void *options)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct options *o = options;

	if (options_settle(o, &why) != 0)
		return cli_usage_error(&cli_serve, &why);
	if (is_misspelt(o))
		return cli_unknown_word(o->root);
	if (options_check_root(o, &why) < 0)
		return cli_error(&why);
	return serve_run(o);
}

static int check(void *options)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct options *o = options;

	if (options_settle(o, &why) != 0)
		return cli_usage_error(&cli_check, &why);
	if (is_misspelt(o) && is_deployment(o->root)) {
		buffer_printf(&why, "check takes the directory of all deployments, and %s is one of " OPTIONS_DEFAULT_ROOT
				    "; 'devserve test %s' builds and tries it alone", o->root, o->root);
		return cli_error(&why);
	}
	if (options_check_root(o, &why) < 0)
		return cli_error(&why);
	return serve_check(o);
}

const struct command cli_serve = {
	.about = "Build the deployments in ROOT (" OPTIONS_DEFAULT_ROOT "), serve them over the Open "
		 "Inference Protocol, and swap the new code in on every save.",
	COMMAND_EXAMPLES(serve_examples),
	COMMAND_ROWS(options_rows),
	COMMAND_OPERANDS(operands),
	.without = 1 << OPTIONS_CHECKING,
	.size = sizeof(struct options),
	.run = run,
};

const struct command cli_check = {
	.name = "check",
	.help = "build and try every deployment, then exit",
	.about = "Build and try every deployment in ROOT (" OPTIONS_DEFAULT_ROOT "), report, and exit. "
		 "For hooks and CI. A server that runs beside it isn't disturbed.",
	COMMAND_EXAMPLES(check_examples),
	COMMAND_ROWS(options_rows),
	.without = 1 << OPTIONS_WATCHING | 1 << OPTIONS_LISTENING | 1 << OPTIONS_LIMITS,
	COMMAND_OPERANDS(operands),
	COMMAND_EXITS(check_exits),
	.size = sizeof(struct options),
	.run = check,
};
