/* SPDX-License-Identifier: MIT */

/*
 * Every command goes the same way: its table is read into a struct of its own, help and
 * version are answered here, its function runs, and what it printed must have arrived.
 */

#include "cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/suggestion.h"
#include "base/wrap.h"
#include "command/help.h"
#include "serve/style.h"

int cli_print_help(const struct command *c)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	const struct help_style style = {
		.width = terminal_width(STDOUT_FILENO),
		.color = style_has_color(STDOUT_FILENO, false),
	};

	command_help(&cli_program, c, style, &text);
	fputs(text.data, stdout);
	return EXIT_SUCCESS;
}

int cli_print_version(void)
{
	puts("devserve " DEVSERVE_VERSION);
	return EXIT_SUCCESS;
}

/* What a deployment has chosen of it must neither move the cursor nor look like a line of ours. */
int cli_error(const struct buffer *why)
{
	_cleanup_buffer_ struct buffer shown = BUFFER_NULL;

	for (const char *line = buffer_text(why); *line;) {
		size_t size = strcspn(line, "\n");

		buffer_puts(&shown, shown.size ? "\n  " : "");
		style_harmless(&shown, line, size);
		line += size + (line[size] == '\n');
	}
	fprintf(stderr, "devserve: %s\n", buffer_text(&shown));
	return EXIT_FAILURE;
}

int cli_usage_error(const struct command *c, const struct buffer *why)
{
	_cleanup_free_ char *name = command_full_name(&cli_program, c);

	cli_error(why);
	fprintf(stderr, "Try '%s --help'.\n", name);
	return EXIT_USAGE;
}

static int refuse_word(const char *prefix, const char *suffix, const char *word)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct suggestion s = { .word = word };

	for (size_t i = 1; i < cli_program.n_commands; i++)
		suggestion_consider(&s, cli_program.commands[i]->name);
	buffer_printf(&why, "%s'%s'%s", prefix, word, suffix);
	if (s.best)
		buffer_printf(&why, "; did you mean '%s'?", s.best);
	return cli_usage_error(&cli_serve, &why);
}

int cli_unknown_command(const char *word)
{
	return refuse_word("there is no command ", "", word);
}

int cli_unknown_word(const char *word)
{
	return refuse_word("", " is neither a directory nor a command", word);
}

bool cli_pause(int ms)
{
	struct pollfd out = { .fd = STDOUT_FILENO };

	if (poll(&out, 1, ms) <= 0)
		return true;
	return !(out.revents & (POLLERR | POLLHUP | POLLNVAL));
}

void cli_print_json(const struct buffer *json)
{
	size_t size = json->size;

	while (size && json->data[size - 1] == '\n')
		size--;
	printf("%.*s\n", (int)size, buffer_text(json));
}

static int act(const struct command *c, const struct option_row *action)
{
	return action->letter == 'h' ? cli_print_help(c) : cli_print_version();
}

static int run(const struct command *c, int argc, char **argv)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	_cleanup_free_ void *options = xcalloc(1, c->size);
	const struct option_row *action;

	if (command_parse(c, argc, argv, options, &action, &why) != 0)
		return cli_usage_error(c, &why);
	return action ? act(c, action) : c->run(options);
}

/*
 * A disk that is full must not look like success; a reader who has enough (`| head`) does. Why an
 * earlier write failed nobody has kept, so one more is tried.
 */
static int close_output(int status)
{
	bool failed = ferror(stdout);

	errno = 0;
	if (fflush(stdout) == 0 && !failed)
		return status;
	if (!errno && write(STDOUT_FILENO, "\n", 1) == 1)
		errno = 0;
	if (errno == EPIPE)
		return status;
	fprintf(stderr, "devserve: cannot write: %s\n", errno ? strerror(errno) : "the output has failed");
	return status ? status : EXIT_FAILURE;
}

/* "devserve statsu -w": its options are none of the server's. */
static bool is_misspelt(const char *word)
{
	return word[0] != '-' && !strchr(word, '/') && !file_exists(word);
}

int cli_main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	const struct command *c = word ? command_find(&cli_program, word) : NULL;

	signal(SIGPIPE, SIG_DFL); /* some parents ignore it: `| head` would be told as an error */
	if (c)
		return close_output(run(c, argc - 1, argv + 1));
	return word && is_misspelt(word) ? cli_unknown_word(word) : close_output(run(&cli_serve, argc, argv));
}
