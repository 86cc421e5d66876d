/* SPDX-License-Identifier: MIT */

/*
 * Watching is asking twice a second. On a terminal the page is written over the one before, line by
 * line, so that nothing flickers and what is on the screen when Ctrl-C comes may stay there; what
 * the screen has no line for is counted, since scrolling would take the head away, which is looked
 * at first. Elsewhere what has changed is written below.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/columns.h"
#include "base/memory.h"
#include "base/wrap.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/gpus.h"
#include "cli/json_reader.h"
#include "cli/status_page.h"
#include "serve/style.h"

#define TIMEOUT_MS 10000
#define LOOK_MS 500

struct status_options {
	struct client_options client; /* the first: its rows have its offsets */
	bool watch;
};

static const struct option_row rows[] = {
	OPTION_ROW(status_options, watch, "watch", 'w', NULL, BOOL, NULL, 0, 0, "go on until Ctrl-C, or the server ends",
		   "On a terminal the table is drawn anew twice a second; elsewhere, and with --json, it is "
		   "printed whenever something has changed."),
	CLIENT_ROW(no_color, "no-color", 0, NULL, BOOL, NULL, 0, 0, "print without colour"),
	CLIENT_ROWS,
};

static const struct operand operands[] = {
	{ .name = "ROOT", .kind = OPTION_DIRECTORY, .offset = offsetof(struct status_options, client.root) },
};

static const struct example examples[] = {
	{ "devserve status --watch", "what is served, as it changes" },
	{ "devserve status --json | jq '.deployments[].generation'", "for programs" },
};

static const struct exit_status exits[] = {
	{ 0, "A server answered, whatever it serves." },
	{ 69, "No server answers, or not any more." },
	{ 130, "Ctrl-C ended it." },
};

struct view {
	const struct status_options *o;
	bool terminal;        /* that can be drawn on */
	struct buffer before; /* the page, or what makes it another one */
};

/* How long it has been up, and how much memory is in use, is always another. */
static void put_essence(const struct json_reader *r, struct buffer *ret)
{
	char *line_end;

	status_page(r, NULL, 0, false, ret);
	line_end = strchr(ret->data, '\n');
	buffer_consume(ret, (size_t)(line_end - ret->data));
}

static size_t count_lines(const char *text, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += text[i] == '\n';
	return n;
}

/*
 * How much of the page there is room for, with a line for what is left out and the last one, which
 * is the cursor's. A line may be wider than the screen.
 */
static size_t part_that_fits(const struct buffer *page)
{
	size_t columns, lines, used = 0, size = 0, fits = 0;

	terminal_size(STDOUT_FILENO, &columns, &lines);
	while (columns && lines && size < page->size) {
		const char *line = page->data + size;
		size_t n = (size_t)(strchr(line, '\n') - line), width = columns_of(line, n);

		used += width ? (width + columns - 1) / columns : 1;
		size += n + 1;
		if (used + 2 <= lines)
			fits = size;
	}
	return used + 1 <= lines ? page->size : fits;
}

/* Over the page before: each line to its end, then what is left below. */
static void draw(struct view *v, const struct buffer *page)
{
	_cleanup_buffer_ struct buffer out = BUFFER_NULL;
	size_t size = part_that_fits(page);

	buffer_puts(&out, v->before.size ? "\033[H" : "\033[2J\033[H");
	for (size_t i = 0; i < size; i++) {
		if (page->data[i] == '\n')
			buffer_puts(&out, "\033[K");
		buffer_putc(&out, page->data[i]);
	}
	if (size < page->size)
		buffer_printf(&out, "… %zu more lines\033[K\n", count_lines(page->data + size, page->size - size));
	buffer_puts(&out, "\033[J");
	buffer_reset(&v->before);
	buffer_append(&v->before, page->data, page->size);
	fwrite(out.data, 1, out.size, stdout);
}

/* Its processes are ours to look for only where it runs on this machine. */
static struct json_reader *ask_gpus(const struct client *c, const struct json_reader *r)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	bool near = c->run_file || strcmp(c->host, "127.0.0.1") == 0 || strcmp(c->host, "::1") == 0 ||
		    strcmp(c->host, "localhost") == 0;

	for (size_t i = 0, n = json_reader_count(r, "/deployments"); near && i < n; i++)
		if (json_reader_bool(r, "/deployments/%zu/cuda", i))
			return gpus_ask(&why);
	return NULL;
}

static void show(struct view *v, const struct json_reader *r, const struct json_reader *gpus, struct buffer *json)
{
	_cleanup_buffer_ struct buffer page = BUFFER_NULL, essence = BUFFER_NULL;
	const struct client_options *o = &v->o->client;

	put_essence(r, &essence);
	if (!v->terminal && v->before.size == essence.size && memcmp(v->before.data, essence.data, essence.size) == 0)
		return;
	status_page(r, gpus, isatty(STDOUT_FILENO) ? terminal_width(STDOUT_FILENO) : 0,
		    style_has_color(STDOUT_FILENO, o->no_color), &page);
	if (o->json) {
		gpus_add(gpus, r, json);
		cli_print_json(json);
	} else if (v->terminal) {
		draw(v, &page);
		return;
	} else {
		printf("%s%s", v->before.size ? "\n" : "", page.data);
	}
	buffer_reset(&v->before);
	buffer_append(&v->before, essence.data, essence.size);
}

static int ask(struct view *v, const struct client *c, struct buffer *why)
{
	_cleanup_buffer_ struct buffer body = BUFFER_NULL;
	struct json_reader *reader, *gpus;
	int status, r;

	r = client_get(c, "/-/status", TIMEOUT_MS, &status, &body, why);
	if (r != 0)
		return r;
	if (status != 200 || json_reader_new(buffer_text(&body), body.size, &reader) < 0) {
		buffer_printf(why, "what answers at %s knows no status (HTTP %d)", c->url, status);
		return EXIT_FAILURE;
	}
	gpus = ask_gpus(c, reader);
	show(v, reader, gpus, &body);
	json_reader_free(gpus);
	json_reader_free(reader);
	return 0;
}

static int watch(struct view *v, const struct client *c, struct buffer *why)
{
	for (;;) {
		int r = ask(v, c, why);

		if (r != 0)
			return r;
		if (fflush(stdout) != 0 || !cli_pause(LOOK_MS))
			return EXIT_SUCCESS;
	}
}

static int run(void *options)
{
	const struct status_options *o = options;
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	_cleanup_client_ struct client client = CLIENT_NULL;
	struct view v = { .o = o };
	const char *term = getenv("TERM");
	int r = client_find(&o->client, &client, &why);

	if (r == EXIT_USAGE)
		return cli_usage_error(&cli_status, &why);
	v.terminal = o->watch && !o->client.json && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
	if (r == 0)
		r = o->watch ? watch(&v, &client, &why) : ask(&v, &client, &why);
	buffer_fini(&v.before);
	if (r != 0)
		cli_error(&why);
	return r;
}

const struct command cli_status = {
	.name = "status",
	.help = "show what a running server serves",
	.about = "Show what the running server serves: generations, workers, requests, why something doesn't "
		 "serve, and the settings that a deployment.yaml has set. Where a deployment computes on NVIDIA's GPUs of "
		 "this machine, also how they are.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	COMMAND_EXITS(exits),
	.size = sizeof(struct status_options),
	.run = run,
};
