/* SPDX-License-Identifier: MIT */

/* `devserve accept`: a save that was refused for its answers is right, and what was expected isn't. */

#include <stdlib.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/json_reader.h"
#include "cli/names.h"
#include "cli/wait.h"

#define TIMEOUT_MS 10000

static const struct option_row rows[] = {
	CLIENT_ROW(timeout, "timeout", 0, "SECONDS", UNSIGNED, "120", 1, 86400, "give up after that time"),
	CLIENT_ROWS,
};

static const struct operand operands[] = {
	{ .name = "NAME",
	  .kind = OPTION_DEPLOYMENT,
	  .offset = offsetof(struct client_options, name),
	  .missing = "which deployment? 'devserve status' lists them" },
};

static const struct example examples[] = {
	{ "devserve accept matmul", "it is meant to answer so" },
};

static const struct exit_status exits[] = {
	{ 0, "It serves." },
	{ 1, "Nothing was refused for its answers, it has changed since, or something else is wrong with it." },
	{ 69, "No server answers." },
};

static char *path_of(const char *name)
{
	struct buffer path = BUFFER_NULL;

	client_put_control(&path, "accept", name);
	return buffer_steal(&path);
}

/* Why it wasn't begun. */
static int refuse(const struct client_options *o, const struct client *c, const struct client_answer *a,
		  struct buffer *why)
{
	const char *error = NULL;
	struct json_reader *r = NULL;

	if (a->status == 404) {
		names_refuse(c, o->name, why);
		return EXIT_FAILURE;
	}
	if (json_reader_new(buffer_text(&a->body), a->body.size, &r) == 0)
		error = json_reader_string(r, "/error");
	if (error)
		buffer_puts(why, error);
	else
		buffer_printf(why, "what answers at %s can't accept saves (HTTP %d)", c->url, a->status);
	json_reader_free(r);
	return EXIT_FAILURE;
}

static int ask(const void *options, const struct client *c, struct buffer *why)
{
	const struct client_options *o = options;
	_cleanup_free_ char *path = path_of(o->name);
	_cleanup_buffer_ struct buffer nothing = BUFFER_NULL;
	const struct client_request q = { .path = path, .timeout_ms = TIMEOUT_MS, .body = &nothing };
	struct client_answer a = CLIENT_ANSWER_NULL;
	int r = client_ask(c, &q, &a, why);

	if (r == 0 && a.status != 200)
		r = refuse(o, c, &a, why);
	else if (r == 0)
		r = wait_for_save(o, c, why);
	buffer_fini(&a.body);
	return r;
}

static int run(void *options)
{
	return client_run(&cli_accept, options, ask);
}

const struct command cli_accept = {
	.name = "accept",
	.help = "let a save serve that was refused for its answers",
	.about = "The newest save of the deployment NAME was refused because it answers otherwise than before, and "
		 "that is what was meant. It is rolled out as it was built, golden cases that differ are written anew "
		 "with its answers, and recorded answers are compared with no more. What crashes, hangs or returns an "
		 "error isn't accepted. The key y of the server's terminal does the same.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	COMMAND_EXITS(exits),
	.size = sizeof(struct client_options),
	.run = run,
};
