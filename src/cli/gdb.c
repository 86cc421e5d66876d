/* SPDX-License-Identifier: MIT */

/*
 * gdb, attached to a worker. The images that it has mapped lie where they were mapped from, with
 * their debug information, which has the absolute names of the sources; what to tell gdb is where
 * those are that were edited since. While it is attached the server lets calls take as long as they want (deploy/deadline.c).
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/gdb_sources.h"
#include "cli/json_reader.h"
#include "cli/names.h"

#define TIMEOUT_MS 10000
#define WORKER "devserve-worker"

struct gdb_options {
	struct client_options client; /* the first: its rows have its offsets */
	unsigned replica;
	struct words arguments;
};

static const struct option_row rows[] = {
	OPTION_ROW(gdb_options, replica, "replica", 0, "N", UNSIGNED, "0", 0, 1023, "which one, where there are several"),
	CLIENT_ROW(root, "root", 0, "DIR", DIRECTORY, NULL, 0, 0,
		   "ask the server of that directory (" OPTIONS_DEFAULT_ROOT ")"),
	CLIENT_ROW(state_dir, "state-dir", 0, "DIR", DIRECTORY, NULL, 0, 0, "what the server was given as --state-dir"),
	CLIENT_ROW(url, "url", 0, "URL", STRING, NULL, 0, 0, "ask the server there"),
	OPTION_HELP_ROW,
};

static const struct operand operands[] = {
	{ .name = "NAME",
	  .kind = OPTION_DEPLOYMENT,
	  .offset = offsetof(struct gdb_options, client.name),
	  .missing = "which deployment? 'devserve status' lists them" },
	{ .name = "ARGUMENT", .kind = OPTION_STRING, .offset = offsetof(struct gdb_options, arguments), .many = true },
};

static const struct example examples[] = {
	{ "devserve gdb matmul", "'break infer', 'continue', and the next request stops there" },
	{ "devserve gdb matmul -- -batch -ex 'thread apply all bt'", "where its threads are, and let it go on" },
};

static const struct exit_status exits[] = {
	{ 1, "There is no such deployment, no worker of it, or no gdb; else gdb's own." },
	{ 69, "No server answers." },
};

/* The index of @name among the deployments of the status; -1: it isn't there. */
static int find_deployment(const struct json_reader *status, const char *name)
{
	size_t n = json_reader_count(status, "/deployments");

	for (size_t i = 0; i < n; i++) {
		const char *one = json_reader_string(status, "/deployments/%zu/name", i);

		if (one && strcmp(one, name) == 0)
			return (int)i;
	}
	return -1;
}

/* The pid is the server's word, which may run elsewhere. */
static bool is_worker(int pid)
{
	_cleanup_free_ char *link = xasprintf("/proc/%d/exe", pid);
	char target[4096];
	ssize_t n = readlink(link, target, sizeof(target) - 1);

	if (n <= 0)
		return false;
	target[n] = '\0';
	return strncmp(path_name(target), WORKER, strlen(WORKER)) == 0;
}

struct target {
	int pid;
	struct gdb_sources sources;
};

static void find_sources(const struct gdb_options *o, const struct json_reader *status, double generation,
			 struct gdb_sources *ret)
{
	const char *root = json_reader_string(status, "/root");
	_cleanup_free_ char *state = root ? state_directory(root, o->client.state_dir) : NULL;

	if (root)
		gdb_sources_find(ret, &(struct gdb_sources_of){ .root = root, .state_dir = state,
								.deployment = o->client.name,
								.generation = (uint32_t)generation });
}

static int choose_worker(const struct gdb_options *o, const struct client *c, const struct json_reader *status,
			 struct target *ret, struct buffer *why)
{
	int at = find_deployment(status, o->client.name);
	size_t n = at < 0 ? 0 : json_reader_count(status, "/deployments/%d/workers", at);
	double pid = 0, generation = 0;

	if (at < 0) {
		names_refuse(c, o->client.name, why);
		return EXIT_FAILURE;
	}
	if (!n) {
		const char *reason = json_reader_string(status, "/deployments/%d/reason", at);

		buffer_printf(why, "%s has no worker: %s", o->client.name, reason ? reason : "it is being replaced; try again");
		return EXIT_FAILURE;
	}
	if (o->replica >= n || !json_reader_number(status, &pid, "/deployments/%d/workers/%u/pid", at, o->replica)) {
		buffer_printf(why, "%s has %zu worker%s; --replica counts from 0", o->client.name, n, n == 1 ? "" : "s");
		return EXIT_FAILURE;
	}
	if (!is_worker((int)pid)) {
		buffer_printf(why, "the worker of %s, process %d, doesn't run on this machine, or is another user's",
			      o->client.name, (int)pid);
		return EXIT_FAILURE;
	}
	ret->pid = (int)pid;
	if (json_reader_number(status, &generation, "/deployments/%d/workers/%u/generation", at, o->replica))
		find_sources(o, status, generation, &ret->sources);
	return 0;
}

static int find_worker(const struct gdb_options *o, struct target *ret, struct buffer *why)
{
	_cleanup_buffer_ struct buffer page = BUFFER_NULL;
	_cleanup_client_ struct client client = CLIENT_NULL;
	struct json_reader *status;
	int http, r = client_find(&o->client, &client, why);

	if (r == 0)
		r = client_get(&client, "/-/status", TIMEOUT_MS, &http, &page, why);
	if (r != 0)
		return r;
	if (json_reader_new(buffer_text(&page), page.size, &status) < 0) {
		buffer_printf(why, "what answers at %s is no devserve", client.url);
		return EXIT_FAILURE;
	}
	r = choose_worker(o, &client, status, ret, why);
	json_reader_free(status);
	return r;
}

/*
 * SIGXCPU is how the server interrupts; it has its own end to report to. New generations are
 * mapped while gdb is attached: a breakpoint may be of one that is still to come.
 */
static int become_gdb(const struct gdb_options *o, const struct target *t, struct buffer *why)
{
	static const char *const settings[] = {
		"gdb", "-q", "-iex", "set debuginfod enabled off", "-iex", "set breakpoint pending on",
		"-iex", "handle SIGXCPU nostop noprint pass",
	};
	size_t n = ARRAY_SIZE(settings), at = 0;
	_cleanup_free_ const char **argv = xcalloc(n + 2 * t->sources.n + o->arguments.n + 3, sizeof(*argv));
	_cleanup_free_ char *process = xasprintf("%d", t->pid);

	for (; at < n; at++)
		argv[at] = settings[at];
	for (size_t i = 0; i < t->sources.n; i++) {
		argv[at++] = "-iex";
		argv[at++] = t->sources.commands[i];
	}
	argv[at++] = "-p";
	argv[at++] = process;
	for (size_t i = 0; i < o->arguments.n; i++)
		argv[at++] = o->arguments.word[i];
	fflush(stdout);
	execvp(argv[0], (char *const *)argv);
	buffer_printf(why, "cannot start gdb: %s; is it installed?", strerror(errno));
	return EXIT_FAILURE;
}

static int run(void *options)
{
	const struct gdb_options *o = options;
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct target target = { .sources = GDB_SOURCES_NULL };
	int r = find_worker(o, &target, &why);

	if (r == EXIT_USAGE)
		return cli_usage_error(&cli_gdb, &why);
	if (r == 0)
		r = become_gdb(o, &target, &why);
	gdb_sources_fini(&target.sources);
	cli_error(&why);
	return r;
}

const struct command cli_gdb = {
	.name = "gdb",
	.help = "attach gdb to a worker",
	.about = "Attach gdb to the worker that serves the deployment NAME. Sources are shown as they were "
		 "compiled, also after they were edited. What follows NAME goes to gdb; put -- before an option.\n\n"
		 "While gdb is attached, calls may take as long as they want: neither request_timeout_s nor a save "
		 "ends the worker. A save is built and tried; it is swapped in when the worker goes on.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	COMMAND_EXITS(exits),
	.size = sizeof(struct gdb_options),
	.run = run,
};
