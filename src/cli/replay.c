/* SPDX-License-Identifier: MIT */

/*
 * Replay
 *
 * One case again, without the server: in a worker of its own, or under gdb. A recording that isn't kept
 * as a case yet is kept now, with the image that serves.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/gdb_sources.h"
#include "cli/json_reader.h"
#include "cli/recorded.h"
#include "cli/run_case.h"
#include "replica/memcheck.h"
#include "serve/cases.h"
#include "serve/style.h"

#define TIMEOUT_MS 30000
#define MOST_CASE_WORDS 8
#define MAX_WORDS 48 /* without sources and arguments */

struct replay_options {
	struct client_options client; /* the first: its rows have its offsets */
	bool gdb;
	struct words arguments;
};

static const struct option_row rows[] = {
	OPTION_ROW(replay_options, gdb, "gdb", 0, NULL, BOOL, NULL, 0, 0,
		   "run it under gdb, stopped where infer() begins"),
	CLIENT_ROW(no_color, "no-color", 0, NULL, BOOL, NULL, 0, 0, "print without colour"),
	CLIENT_ROWS,
};

static const struct operand operands[] = {
	{ .name = "ID",
	  .kind = OPTION_STRING,
	  .offset = offsetof(struct replay_options, client.name),
	  .missing = "which one? 'devserve record NAME --list' shows the recordings of a deployment" },
	{ .name = "ARGUMENT", .kind = OPTION_STRING, .offset = offsetof(struct replay_options, arguments), .many = true },
};

static const struct example examples[] = {
	{ "devserve replay 17", "the same request, on the image that it is about" },
	{ "devserve replay 17 --gdb", "and look at it line by line" },
	{ "devserve replay 17 --gdb -- -batch -ex 'info locals'", "where infer() begins, and no further" },
};

static const struct exit_status exits[] = {
	{ 0, "The answer is the one that was kept, within the tolerances." },
	{ 1, "It is another one, or there is none." },
	{ 69, "It isn't kept yet, and no server answers that could do it." },
};

/* Finding it */

static int find(const struct replay_options *o, char **ret, struct buffer *why)
{
	_cleanup_free_ char *state = state_directory(o->client.root ? o->client.root : OPTIONS_DEFAULT_ROOT,
						     o->client.state_dir);
	_cleanup_client_ struct client client = CLIENT_NULL;
	const char *id = o->client.name;
	int r;

	if (!id[0] || strspn(id, "0123456789") != strlen(id) || strlen(id) > 19) {
		buffer_printf(why, "'%s' is no number of a recording", id);
		return EXIT_USAGE;
	}
	*ret = o->client.url ? NULL : cases_path(state, strtoull(id, NULL, 10));
	if (*ret && file_is_directory(*ret))
		return 0;
	free(*ret);
	*ret = NULL;
	r = client_find(&o->client, &client, why);
	return r == 0 ? recorded_keep(&client, strtoull(id, NULL, 10), ret, why) : r;
}

/* gdb, which takes our place */

static char *parent_of(const char *path)
{
	size_t n = (size_t)(path_name(path) - path);

	return xstrndup(path, n ? n - 1 : 0);
}

/* The case lies in the state directory's cases/, the plugin in the root. An image that never served has its own. */
static void find_sources(const char *directory, const struct json_reader *facts, struct gdb_sources *ret)
{
	const char *plugin = json_reader_string(facts, "/plugin"), *name = json_reader_string(facts, "/deployment");
	_cleanup_free_ char *real = realpath(directory, NULL), *cases = real ? parent_of(real) : NULL;
	_cleanup_free_ char *state = cases ? parent_of(cases) : NULL, *root = plugin ? parent_of(plugin) : NULL;
	_cleanup_free_ char *own = real ? path_join(real, CASES_SOURCE) : NULL;
	double generation = 0;

	if (root && own && file_is_directory(own))
		gdb_sources_take(ret, root, own);
	else if (state && root && name && json_reader_number(facts, &generation, "/generation") && generation > 0)
		gdb_sources_find(ret, &(struct gdb_sources_of){ .root = root, .state_dir = state, .deployment = name,
								.generation = (uint32_t)generation });
}

static size_t put_words(const char **argv, size_t at, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		argv[at++] = words[i];
	return at;
}

/*
 * Its first stop is before the call, whose address is known then, and whose source is ours and nobody's
 * business; the second is in the plugin.
 */
static int debug(const struct replay_options *o, const char *directory, const struct json_reader *facts,
		 struct buffer *why)
{
	_cleanup_free_ char *worker = path_of_helper("devserve-worker");
	const char *tool = json_reader_string(facts, "/runtime"), *runtime = memcheck_is(tool) ? NULL : tool;
	_cleanup_free_ char *preload = xasprintf("set environment LD_PRELOAD=%s", runtime ? runtime : "");
	const char *const begin[] = {
		"gdb", "-q", "-iex", "set debuginfod enabled off", "-iex", "set startup-with-shell off",
		"-iex", runtime ? preload : "unset environment LD_PRELOAD", "-ex", "set confirm off",
	};
	static const char *const run[] = {
		"-ex", "set print frame-info short-location", "-ex", "tbreak devserve_replay_begin", "-ex", "run",
		"-ex", "set print frame-info auto",
		"-ex", "tbreak **(unsigned long *)&devserve_replay_infer", "-ex", "continue",
	};
	const char *const program[] = { "--args", worker, "replay", directory };
	struct gdb_sources sources = GDB_SOURCES_NULL;
	_cleanup_free_ const char **argv = NULL;
	size_t n;

	find_sources(directory, facts, &sources);
	argv = xcalloc(2 * sources.n + o->arguments.n + MAX_WORDS, sizeof(*argv));
	n = put_words(argv, 0, begin, ARRAY_SIZE(begin));
	for (size_t i = 0; i < sources.n; i++)
		n = put_words(argv, n, (const char *[]){ "-iex", sources.commands[i] }, 2);
	n = put_words(argv, n, run, ARRAY_SIZE(run));
	n = put_words(argv, n, (const char *const *)o->arguments.word, o->arguments.n);
	n = put_words(argv, n, program, ARRAY_SIZE(program));
	case_words(directory, facts, (char **)argv + n, MOST_CASE_WORDS);
	fflush(stdout);
	execvp("gdb", (char *const *)argv);
	gdb_sources_fini(&sources);
	buffer_printf(why, "cannot start gdb: %s; is it installed?", strerror(errno));
	return EXIT_FAILURE;
}

/* Printing */

static void put_text(struct buffer *b, const char *text)
{
	style_harmless(b, text, strlen(text));
}

static const char *color_of(const struct style *s, enum case_outcome outcome)
{
	return outcome <= CASE_CLOSE ? GREEN(s) : RED(s);
}

static void print_output(const struct style *s, const struct case_output *o, struct buffer *b)
{
	put_text(b, o->name);
	buffer_printf(b, "  %s%s%s  %s", DIM(s), o->type, PLAIN(s), color_of(s, o->outcome));
	put_text(b, o->sentence);
	buffer_printf(b, "%s\n", PLAIN(s));
}

static void print_text(const struct replay_options *o, const struct json_reader *facts, const struct case_run *run)
{
	const char *deployment = json_reader_string(facts, "/deployment");
	const char *why = json_reader_string(facts, "/sentence");
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	double generation = 0;
	struct style s;

	style_init(&s, STDOUT_FILENO, ".", o->client.no_color);
	buffer_puts(&b, BOLD(&s));
	put_text(&b, deployment ? deployment : "?");
	buffer_printf(&b, "%s  replay %s", PLAIN(&s), o->client.name);
	if (json_reader_number(facts, &generation, "/generation") && generation > 0)
		buffer_printf(&b, "  gen %.0f", generation);
	if (run->compute_ns)
		buffer_printf(&b, "  %.1f µs", (double)run->compute_ns / 1000);
	buffer_putc(&b, '\n');
	if (why) {
		buffer_puts(&b, "kept because: ");
		put_text(&b, why);
		buffer_putc(&b, '\n');
	}
	for (size_t i = 0; i < run->n_outputs; i++)
		print_output(&s, &run->outputs[i], &b);
	if (json_reader_string(facts, "/state"))
		buffer_printf(&b, "%sit ran on a copy of the state, which has moved on since it was recorded%s\n",
			      DIM(&s), PLAIN(&s));
	if (run->sentence) {
		buffer_printf(&b, "%s%s: ", RED(&s), case_outcome_name(run->outcome));
		put_text(&b, run->sentence);
		buffer_printf(&b, "%s\n", PLAIN(&s));
	}
	fputs(b.data, stdout);
	style_fini(&s);
}

static void print_json(const struct replay_options *o, const struct json_reader *facts, const struct case_run *run)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;

	json_object(&b, NULL);
	json_uint(&b, "id", strtoull(o->client.name, NULL, 10));
	json_string(&b, "deployment", json_reader_string(facts, "/deployment"));
	json_string(&b, "outcome", case_outcome_name(run->outcome));
	json_string(&b, "reason", run->sentence);
	json_bool(&b, "stateful", json_reader_string(facts, "/state"));
	json_double(&b, "compute_ms", (double)run->compute_ns / 1e6);
	json_array(&b, "outputs");
	for (size_t i = 0; i < run->n_outputs; i++) {
		const struct case_output *out = &run->outputs[i];

		json_object(&b, NULL);
		json_string(&b, "name", out->name);
		json_string(&b, "outcome", case_outcome_name(out->outcome));
		json_string(&b, "reason", out->sentence);
		json_uint(&b, "elements", out->comparison.n);
		json_uint(&b, "beyond", out->comparison.n_beyond);
		json_double(&b, "max_abs", out->comparison.max_abs);
		json_double(&b, "max_rel", out->comparison.max_rel);
		json_object_end(&b);
	}
	json_array_end(&b);
	json_object_end(&b);
	puts(b.data);
}

/* What the plugin prints is about it, and not what was asked for. */
static void print_said(const struct buffer *said)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	const char *line = buffer_text(said), *end;

	for (; *line; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		style_harmless(&b, line, (size_t)(end - line));
		buffer_putc(&b, '\n');
	}
	fputs(buffer_text(&b), stderr);
}

/* Whether those that it had are there, if it had any. */
static bool has_weights(const struct json_reader *facts, struct buffer *why)
{
	const char *path = json_reader_string(facts, "/weights");

	if (!path || file_exists(path))
		return true;
	buffer_printf(why, "the weights that it had aren't there any more (%s); they are kept of what serves, and of the "
			   "generation before it", path);
	return false;
}

static int replay(const struct replay_options *o, const char *directory, const struct json_reader *facts,
		  struct buffer *why)
{
	_cleanup_buffer_ struct buffer said = BUFFER_NULL;
	struct case_run run;
	int r;

	if (!has_weights(facts, why))
		return EXIT_FAILURE;
	if (o->gdb)
		return debug(o, directory, facts, why);
	r = case_run(directory, facts, &run, &said, why);
	if (r != 0)
		return r;
	print_said(&said);
	if (o->client.json)
		print_json(o, facts, &run);
	else
		print_text(o, facts, &run);
	r = run.outcome <= CASE_CLOSE ? EXIT_SUCCESS : EXIT_FAILURE;
	case_run_fini(&run);
	return r;
}

static int run(void *options)
{
	const struct replay_options *o = options;
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	_cleanup_free_ char *directory = NULL;
	struct json_reader *facts = NULL;
	int r;

	if (o->arguments.n && !o->gdb)
		buffer_printf(&why, "what is '%s'? only --gdb takes more than a number", o->arguments.word[0]);
	r = why.size ? EXIT_USAGE : find(o, &directory, &why);
	if (r == EXIT_USAGE)
		return cli_usage_error(&cli_replay, &why);
	if (r == 0)
		r = recorded_read_facts(directory, &facts, &why);
	if (r == 0)
		r = replay(o, directory, facts, &why);
	json_reader_free(facts);
	if (why.size)
		cli_error(&why);
	return r;
}

const struct command cli_replay = {
	.name = "replay",
	.help = "run one recorded request again",
	.about = "Run the request ID again, on the image that it was kept with: the one that was refused because of "
		 "it, or else the one that served when it was first asked for. It runs in a process of its own; the server has no part in it. "
		 "What comes out is compared with the answer that was recorded. With --gdb, what follows ID goes "
		 "to gdb; put -- before an option.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	COMMAND_EXITS(exits),
	.size = sizeof(struct replay_options),
	.run = run,
};
