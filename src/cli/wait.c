/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/json_reader.h"
#include "cli/saved.h"
#include "cli/wait.h"

static const struct option_row rows[] = {
	CLIENT_ROW(timeout, "timeout", 0, "SECONDS", UNSIGNED, "120", 1, 86400,
		   "give up after that time"),
	CLIENT_ROWS,
};

static const struct operand operands[] = {
	{ .name = "NAME",
	  .kind = OPTION_DEPLOYMENT,
	  .offset = offsetof(struct client_options, name),
	  .missing = "which deployment? 'devserve status' lists them" },
};

static const struct example examples[] = {
	{ "devserve wait matmul && ./measure", "measure what was just saved" },
};

static const struct exit_status exits[] = {
	{ 0, "It serves, or what was rolled back to." },
	{ 1, "It was refused, its trial failed, or it isn't known in time." },
	{ 4, "It doesn't build." },
	{ 69, "No server answers." },
};

static char *path_of(const char *name)
{
	struct buffer path = BUFFER_NULL;

	client_put_control(&path, "wait", name);
	return buffer_steal(&path);
}

static void say(const char *name, const struct json_reader *r)
{
	double generation;

	if (json_reader_number(r, &generation, "/generation"))
		printf("%s  gen %.0f  %s\n", name, generation, json_reader_string(r, "/outcome"));
}

int wait_for_save(const struct client_options *o, const struct client *c, struct buffer *why)
{
	_cleanup_free_ char *path = path_of(o->name);
	_cleanup_free_ char *late = xasprintf("%s: after %u s it isn't known whether the newest save serves; "
					      "'devserve status' shows what does, --timeout waits longer",
					      o->name, o->timeout);
	const struct client_request q = { .path = path, .timeout_ms = o->timeout * UINT64_C(1000), .late = late };
	struct client_answer a = CLIENT_ANSWER_NULL;
	int r = client_ask(c, &q, &a, why);

	if (r == 0)
		r = saved_read(o, c, &a, "saves", say, why);
	buffer_fini(&a.body);
	return r;
}

static int ask(const void *options, const struct client *c, struct buffer *why)
{
	return wait_for_save(options, c, why);
}

static int run(void *options)
{
	return client_run(&cli_wait, options, ask);
}

const struct command cli_wait = {
	.name = "wait",
	.help = "wait until the newest save serves or failed",
	.about = "Wait until the newest save of the deployment NAME serves or failed. Once it serves, no answer of the "
		 "generation before comes any more. The first generation after a start serves as soon as one of "
		 "its replicas does; the others follow.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	COMMAND_EXITS(exits),
	.size = sizeof(struct client_options),
	.run = run,
};
