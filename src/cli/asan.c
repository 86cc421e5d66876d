/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/json_reader.h"
#include "cli/saved.h"

struct asan_options {
	struct client_options client; /* the first: its rows have its offsets */
	bool on, off;
};

static const struct option_row rows[] = {
	OPTION_ROW(asan_options, on, "on", 0, NULL, BOOL, NULL, 0, 0, "not the other way round: on, whatever it was"),
	OPTION_ROW(asan_options, off, "off", 0, NULL, BOOL, NULL, 0, 0, "off, whatever it was"),
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
	{ "devserve asan matmul", "find what it reads and writes beside its tensors" },
	{ "devserve asan matmul --off", "serve it as before" },
};

static const struct exit_status exits[] = {
	{ 0, "It serves so." },
	{ 1, "It was refused, its trial failed, or it isn't known in time." },
	{ 4, "It doesn't build so." },
	{ 69, "No server answers." },
};

static char *path_of(const struct asan_options *o)
{
	struct buffer path = BUFFER_NULL;

	client_put_control(&path, "asan", o->client.name);
	if (o->on || o->off)
		buffer_puts(&path, o->on ? "&on=yes" : "&on=no");
	return buffer_steal(&path);
}

static void say(const char *name, const struct json_reader *r)
{
	const char *sanitizer = json_reader_string(r, "/sanitizer");
	double generation = 0;

	json_reader_number(r, &generation, "/generation");
	if (sanitizer)
		printf("%s  gen %.0f  serves under %s; the same command ends that\n", name, generation, sanitizer);
	else
		printf("%s  gen %.0f  serves as it is built usually\n", name, generation);
}

/* A mistake that is found in a trial is to be mended under the sanitizers. */
static void say_what_stays(const struct asan_options *o, const struct client_answer *a, struct buffer *why)
{
	struct json_reader *reader;

	if (json_reader_new(buffer_text(&a->body), a->body.size, &reader) < 0)
		return;
	if (json_reader_bool(reader, "/sanitizing"))
		buffer_printf(why, "; saves are built for it until 'devserve asan %s --off'", o->client.name);
	json_reader_free(reader);
}

static int ask(const void *options, const struct client *c, struct buffer *why)
{
	const struct asan_options *o = options;
	_cleanup_free_ char *path = path_of(o);
	_cleanup_free_ char *late = xasprintf("%s: after %u s it isn't known whether it serves so; 'devserve status' "
					      "shows what does, --timeout waits longer", o->client.name, o->client.timeout);
	static const struct buffer nothing = BUFFER_NULL;
	const struct client_request q = { .path = path, .timeout_ms = o->client.timeout * UINT64_C(1000),
					  .late = late, .body = &nothing };
	struct client_answer a = CLIENT_ANSWER_NULL;
	int r = client_ask(c, &q, &a, why);

	if (r == 0)
		r = saved_read(&o->client, c, &a, "sanitizers", say, why);
	if (r != EXIT_SUCCESS)
		say_what_stays(o, &a, why);
	buffer_fini(&a.body);
	return r;
}

static int run(void *options)
{
	const struct asan_options *o = options;
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;

	if (o->on && o->off) {
		buffer_puts(&why, "--on and --off exclude each other");
		return cli_usage_error(&cli_asan, &why);
	}
	return client_run(&cli_asan, o, ask);
}

const struct command cli_asan = {
	.name = "asan",
	.help = "serve a deployment under AddressSanitizer (CUDA: compute-sanitizer), or not any more",
	.about = "Build the deployment NAME with the address and the undefined behaviour sanitizer and serve it in a "
		 "worker that has their runtime library; the next time, serve it as before. What they find ends the "
		 "call with 500, and is told where compilers' errors are: which access, at which line, beside what. "
		 "It is several times slower. State is kept, both ways; saves are built so until it ends. A "
		 "deployment with CUDA sources or libraries is built as usual, and its worker is started by NVIDIA's "
		 "compute-sanitizer.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	COMMAND_EXITS(exits),
	.size = sizeof(struct asan_options),
	.run = run,
};
