/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/suggestion.h"
#include "cli/inspect.h"
#include "cli/new.h"
#include "serve/options.h"
#include "serve/serve.h"

static const struct verb verbs[] = {
	{ "new", cli_new, "write a first deployment" },
	{ "status", cli_status, "show what a running server serves" },
	{ "wait", cli_wait, "wait until the newest save serves or failed" },
	{ "logs", cli_logs, "print what a deployment printed" },
	{ "check", cli_check, "build and try every deployment, then exit" },
	{ "inspect", cli_inspect, "show what an image declares, without running it" },
	{ "clean", cli_clean, "remove what was built" },
	{ "help", cli_help, "print the help of a command" },
	{ "version", cli_version, "print the version" },
};

const struct verb *cli_find_verb(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].name, word) == 0)
			return &verbs[i];
	return NULL;
}

static void put_verbs(struct buffer *b)
{
	buffer_puts(b, "\nEvery option can come from the environment: DEVSERVE_MAX_BODY=1G.\n"
		       "\nCommands:\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		buffer_printf(b, "  %-10s %s\n", verbs[i].name, verbs[i].help);
	buffer_puts(b, "\n'devserve help COMMAND' says more about one.\n");
}

int cli_print_help(const struct command *c)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	command_help(c, &text);
	if (c == &server_command)
		put_verbs(&text);
	fputs(text.data, stdout);
	return EXIT_SUCCESS;
}

int cli_print_version(void)
{
	puts("devserve " DEVSERVE_VERSION);
	return EXIT_SUCCESS;
}

int cli_error(const struct buffer *why)
{
	fprintf(stderr, "devserve: %s\n", buffer_text(why));
	return EXIT_FAILURE;
}

int cli_usage_error(const struct command *c, const struct buffer *why)
{
	cli_error(why);
	fprintf(stderr, "Try '%s --help'.\n", c->name);
	return EXIT_USAGE;
}

int cli_unknown_word(const char *word)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct suggestion s = { .word = word };

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		suggestion_consider(&s, verbs[i].name);
	buffer_printf(&why, "'%s' is neither a directory nor a command", word);
	if (s.best)
		buffer_printf(&why, "; did you mean '%s'?", s.best);
	return cli_usage_error(&server_command, &why);
}

void cli_print_json(const struct buffer *json)
{
	size_t size = json->size;

	while (size && json->data[size - 1] == '\n')
		size--;
	printf("%.*s\n", (int)size, buffer_text(json));
}

int cli_help(int argc, char **argv)
{
	char option[] = "--help";
	const struct verb *verb;
	bool itself;

	if (argc < 2)
		return cli_print_help(&server_command);
	verb = cli_find_verb(argv[1]);
	itself = verb && verb->run == cli_help;
	if (itself || strcmp(argv[1], option) == 0 || strcmp(argv[1], "-h") == 0)
		return cli_print_help(&server_command);
	if (!verb)
		return cli_unknown_word(argv[1]);
	return verb->run(2, (char *[]){ argv[1], option, NULL });
}

int cli_version(int argc, char **argv)
{
	(void)argc, (void)argv;
	return cli_print_version();
}

int cli_check(int argc, char **argv)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct command command = server_command;
	struct options o = { .root = NULL };

	command.name = "devserve check";
	command.about = "Build and try every deployment in ROOT (" OPTIONS_DEFAULT_ROOT "), report, and exit:\n"
			"0 when all could serve, 4 when one doesn't build, 1 otherwise. For hooks and CI.";
	command.examples = NULL;
	if (options_parse(&command, argc, argv, &o, &why) != 0)
		return cli_usage_error(&command, &why);
	if (o.help)
		return cli_print_help(&command);
	if (o.version)
		return cli_print_version();
	if (options_check_root(&o, &why) < 0)
		return cli_error(&why);
	return serve_check(&o);
}
