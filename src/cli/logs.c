/* SPDX-License-Identifier: MIT */

/*
 * Reads the files that serve/log.h describes, so it needs no server. Following is looking at
 * the file ten times a second: a file that was turned over is read to its end, then the new one.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/names.h"
#include "serve/options.h"

#define LOOK_MS 100

struct logs_options {
	const char *name, *root, *state_dir;
	unsigned lines;
	bool follow, json;
};

#define ROW(...) OPTION_ROW(logs_options, __VA_ARGS__)

static const struct option_row rows[] = {
	ROW(lines, "lines", 'n', "N", UNSIGNED, "50", 0, 1000000, "print the last N lines"),
	ROW(follow, "follow", 'f', NULL, BOOL, NULL, 0, 0, "go on with what is printed from now on"),
	ROW(json, "json", 0, NULL, BOOL, NULL, 0, 0, "print each line as a JSON object"),
	ROW(root, "root", 0, "DIR", DIRECTORY, OPTIONS_DEFAULT_ROOT, 0, 0, "the directory of the deployments"),
	ROW(state_dir, "state-dir", 0, "DIR", DIRECTORY, NULL, 0, 0, "what the server was given as --state-dir"),
	OPTION_HELP_ROW,
};

static const struct operand operands[] = {
	{ .name = "NAME",
	  .kind = OPTION_DEPLOYMENT,
	  .offset = offsetof(struct logs_options, name),
	  .missing = "which deployment? Give its name" },
};

static const struct example examples[] = {
	{ "devserve logs -f matmul", "the last lines, then what comes" },
};

struct line {
	char when[32], level[16];
	uint32_t generation; /* 0: none */
	const char *text;
};

static bool is_level(const char *word)
{
	static const char *const levels[] = { "debug", "info", "warning", "error" };

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (strcmp(word, levels[i]) == 0)
			return true;
	return false;
}

/* "TIME gen N LEVEL TEXT" or "TIME LEVEL TEXT". False: it isn't so. */
static bool read_line(const char *from, struct line *ret)
{
	int at = 0;

	if (sscanf(from, "%31s gen %" SCNu32 " %15s%n", ret->when, &ret->generation, ret->level, &at) != 3 &&
	    sscanf(from, "%31s %15s%n", ret->when, ret->level, &at) != 2)
		return false;
	ret->text = from + at + (from[at] == ' ');
	return is_level(ret->level);
}

/* As the event is told; what isn't such a line is text alone. */
static void put_json(const char *name, const char *text)
{
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;
	struct line line = { .generation = 0 };
	bool known = read_line(text, &line);

	json_object(&json, NULL);
	json_string(&json, "event", "log");
	if (known)
		json_string(&json, "time", line.when);
	json_string(&json, "deployment", name);
	if (known && line.generation)
		json_uint(&json, "generation", line.generation);
	if (known)
		json_string(&json, "level", line.level);
	json_string(&json, "text", known ? line.text : text);
	json_object_end(&json);
	puts(json.data);
}

/* A plugin's text must not move the cursor. */
static void put_text(char *line)
{
	for (char *c = line; *c; c++)
		if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
			*c = '?';
	puts(line);
}

static void put_line(const struct logs_options *o, char *line)
{
	if (o->json)
		put_json(o->name, line);
	else
		put_text(line);
}

/* The whole lines of @text; what is left of it stays. */
static void put_lines(const struct logs_options *o, struct buffer *text)
{
	char *line = text->size ? text->data : NULL, *end;
	size_t used;

	while (line && (end = strchr(line, '\n'))) {
		*end = '\0';
		put_line(o, line);
		line = end + 1;
	}
	used = line ? (size_t)(line - text->data) : 0;
	if (used)
		buffer_consume(text, used);
	fflush(stdout);
}

/* Where the last @n lines start. */
static size_t start_of_last(const struct buffer *text, unsigned n)
{
	size_t at = text->size;

	while (at > 0) {
		if (text->data[at - 1] == '\n' && at < text->size && n-- <= 1)
			return at;
		if (at == text->size && !n)
			return at;
		at--;
	}
	return 0;
}

static void read_more(int fd, struct buffer *text)
{
	char bytes[16384];
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		buffer_append(text, bytes, (size_t)n);
}

static bool is_other_file(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino != there.st_ino;
}

static int follow(const struct logs_options *o, const char *path, int fd, struct buffer *text)
{
	for (;;) {
		bool over = fd < 0 || is_other_file(fd, path);

		if (fd >= 0)
			read_more(fd, text);
		put_lines(o, text);
		if (ferror(stdout))
			return EXIT_FAILURE;
		if (over) {
			if (fd >= 0)
				close(fd);
			fd = open(path, O_RDONLY | O_CLOEXEC);
		}
		if (!cli_pause(LOOK_MS))
			return EXIT_SUCCESS;
	}
}

/* There is no file: who has said nothing is no mistake. */
static int explain(const struct logs_options *o, const char *directory, const char *path, int r, struct buffer *why)
{
	_cleanup_free_ char *record = xasprintf("%s/deployments/%s", directory, o->name);

	if (r != -ENOENT) {
		buffer_printf(why, "cannot read %s: %s", path, strerror(-r));
		return EXIT_FAILURE;
	}
	if (!file_exists(record) && !names_root_has(o->root, o->name)) {
		names_refuse_in_root(o->root, o->name, why);
		return EXIT_FAILURE;
	}
	fprintf(stderr, "devserve: %s has printed nothing yet\n", o->name);
	return EXIT_SUCCESS;
}

static int print(const struct logs_options *o, const char *directory, const char *path, struct buffer *why)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	_cleanup_free_ char *old = xasprintf("%s.1", path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && !o->follow)
		return explain(o, directory, path, -errno, why);
	if (file_read(old, &text) < 0)
		buffer_reset(&text);
	if (fd >= 0)
		read_more(fd, &text);
	buffer_consume(&text, start_of_last(&text, o->lines));
	put_lines(o, &text);
	if (o->follow)
		return follow(o, path, fd, &text);
	close(fd);
	return EXIT_SUCCESS;
}

static int run(void *options)
{
	const struct logs_options *o = options;
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	_cleanup_free_ char *directory = state_directory(o->root, o->state_dir);
	_cleanup_free_ char *path = xasprintf("%s/logs/%s.log", directory, o->name);
	int status;

	if (strchr(o->name, '/')) {
		buffer_printf(&why, "'%s' is no name of a deployment", o->name);
		return cli_usage_error(&cli_logs, &why);
	}
	status = print(o, directory, path, &why);
	return status == EXIT_SUCCESS || !why.size ? status : cli_error(&why);
}

const struct command cli_logs = {
	.name = "logs",
	.help = "print what a deployment printed",
	.about = "Print what the deployment NAME has printed and logged. No server is needed.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	.size = sizeof(struct logs_options),
	.run = run,
};
