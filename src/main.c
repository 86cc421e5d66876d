/* SPDX-License-Identifier: MIT */

/* The first word is a command, or else this is the server. */

#include <stdbool.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "cli/cli.h"
#include "serve/options.h"
#include "serve/serve.h"

/* "statsu": no path, so it was meant for a command rather than for a directory. */
static bool is_misspelt(const struct options *o)
{
	return !strchr(o->root, '/') && !file_exists(o->root);
}

static int serve(int argc, char **argv)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct options o = { .root = NULL };

	if (options_parse(&server_command, argc, argv, &o, &why) != 0)
		return cli_usage_error(&server_command, &why);
	if (o.help)
		return cli_print_help(&server_command);
	if (o.version)
		return cli_print_version();
	if (is_misspelt(&o))
		return cli_unknown_word(o.root);
	if (options_check_root(&o, &why) < 0)
		return cli_error(&why);
	return serve_run(&o);
}

int main(int argc, char **argv)
{
	const struct verb *verb = argc > 1 ? cli_find_verb(argv[1]) : NULL;

	if (verb)
		return verb->run(argc - 1, argv + 1);
	return serve(argc, argv);
}
