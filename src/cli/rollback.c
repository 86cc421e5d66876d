/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/json_reader.h"
#include "cli/names.h"
#include "serve/style.h"

#define TIMEOUT_MS 120000 /* create() may load weights */

struct rollback_options {
	struct client_options client; /* the first: its rows have its offsets */
	const char *generation;
};

static const struct option_row rows[] = {
	CLIENT_ROWS,
};

static const struct operand operands[] = {
	{ .name = "NAME",
	  .kind = OPTION_DEPLOYMENT,
	  .offset = offsetof(struct rollback_options, client.name),
	  .missing = "which deployment? 'devserve status' lists them" },
	{ .name = "GENERATION", .kind = OPTION_STRING, .offset = offsetof(struct rollback_options, generation) },
};

static const struct example examples[] = {
	{ "devserve rollback matmul", "the generation before serves again" },
	{ "devserve rollback matmul 7", "generation 7 does" },
};

static const struct exit_status exits[] = {
	{ 0, "It serves." },
	{ 1, "It can't: its image isn't kept, or its trial failed. What served goes on." },
	{ 69, "No server answers." },
};

static char *path_of(const struct rollback_options *o)
{
	struct buffer path = BUFFER_NULL;

	client_put_control(&path, "rollback", o->client.name);
	if (o->generation) {
		buffer_puts(&path, "&generation=");
		client_put_path(&path, o->generation);
	}
	return buffer_steal(&path);
}

static int report(const struct rollback_options *o, const struct json_reader *r, const struct client_answer *a,
		  struct buffer *why)
{
	_cleanup_buffer_ struct buffer took = BUFFER_NULL;
	const char *error = json_reader_string(r, "/error");
	double generation, from, ms;

	if (a->status != 200 || !json_reader_number(r, &generation, "/generation") ||
	    !json_reader_number(r, &from, "/from") || !json_reader_number(r, &ms, "/took_ms")) {
		buffer_puts(why, error ? error : "the server's answer is not understood");
		return EXIT_FAILURE;
	}
	if (o->client.json) {
		cli_print_json(&a->body);
		return EXIT_SUCCESS;
	}
	style_duration(&took, (uint64_t)(ms * 1e6));
	printf("%s  gen %.0f→%.0f  rolled back in %s\n", o->client.name, from, generation, took.data);
	return EXIT_SUCCESS;
}

static int ask(const void *options, const struct client *c, struct buffer *why)
{
	const struct rollback_options *o = options;
	_cleanup_free_ char *path = path_of(o);
	_cleanup_buffer_ struct buffer nothing = BUFFER_NULL;
	const struct client_request q = { .path = path, .timeout_ms = TIMEOUT_MS, .body = &nothing };
	struct client_answer a = CLIENT_ANSWER_NULL;
	struct json_reader *reader;
	int r = client_ask(c, &q, &a, why);

	if (r == 0 && a.status == 404) {
		names_refuse(c, o->client.name, why);
		r = EXIT_FAILURE;
	} else if (r == 0 && json_reader_new(buffer_text(&a.body), a.body.size, &reader) < 0) {
		buffer_printf(why, "what answers at %s knows no rollback (HTTP %d)", c->url, a.status);
		r = EXIT_FAILURE;
	} else if (r == 0) {
		r = report(o, reader, &a, why);
		json_reader_free(reader);
	}
	buffer_fini(&a.body);
	return r;
}

static int run(void *options)
{
	return client_run(&cli_rollback, options, ask);
}

const struct command cli_rollback = {
	.name = "rollback",
	.help = "let a generation serve that served before",
	.about = "Let GENERATION of the deployment NAME serve again, under its number; without GENERATION the one "
		 "before the one that serves. Nothing is compiled: its image was kept. It serves until something is "
		 "saved, also after a restart; the source stays as it is. A later generation may be named, too.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	COMMAND_EXITS(exits),
	.size = sizeof(struct rollback_options),
	.run = run,
};
