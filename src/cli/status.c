/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/json_reader.h"
#include "serve/style.h"

#define TIMEOUT_MS 10000

static const struct option_row rows[] = {
	CLIENT_ROW(no_color, "no-color", 0, NULL, BOOL, NULL, 0, 0, "print without colour"),
	CLIENT_ROWS,
};

static const struct operand operands[] = {
	{ .name = "ROOT", .kind = OPTION_DIRECTORY, .offset = offsetof(struct client_options, root) },
};

enum { NAME, STATE, GENERATION, STALE, REPLICAS, REQUESTS, FAILED, QUEUE, MEAN, LAST_SAVE, N_COLUMNS };

struct table {
	char *(*cells)[N_COLUMNS];
	size_t n; /* rows, the titles included */
	bool color;
};

static char *number_cell(const struct json_reader *r, size_t i, const char *key)
{
	double value;

	if (!json_reader_number(r, &value, "/deployments/%zu/%s", i, key))
		return xstrdup("-");
	return xasprintf("%.0f", value);
}

static char *string_cell(const struct json_reader *r, size_t i, const char *key)
{
	const char *s = json_reader_string(r, "/deployments/%zu/%s", i, key);

	return xstrdup(s && *s ? s : "-");
}

static char *time_cell(const struct json_reader *r, size_t i, const char *key)
{
	double ns;

	if (!json_reader_number(r, &ns, "/deployments/%zu/%s", i, key) || ns <= 0)
		return xstrdup("-");
	return ns < 1e6 ? xasprintf("%.1f us", ns / 1e3) : xasprintf("%.1f ms", ns / 1e6);
}

static void put_row(char *cells[N_COLUMNS], const struct json_reader *r, size_t i)
{
	cells[NAME] = string_cell(r, i, "name");
	cells[STATE] = string_cell(r, i, "state");
	cells[GENERATION] = number_cell(r, i, "generation");
	cells[STALE] = string_cell(r, i, "stale");
	cells[REPLICAS] = xasprintf("%zu", json_reader_count(r, "/deployments/%zu/workers", i));
	cells[REQUESTS] = number_cell(r, i, "requests");
	cells[FAILED] = number_cell(r, i, "failures");
	cells[QUEUE] = number_cell(r, i, "queued");
	cells[MEAN] = time_cell(r, i, "compute_ns_mean");
	cells[LAST_SAVE] = string_cell(r, i, "last_outcome");
}

static void table_init(struct table *t, const struct json_reader *r)
{
	static const char *const titles[N_COLUMNS] = {
		"NAME", "STATE", "GEN", "STALE", "REPLICAS", "REQUESTS", "FAILED", "QUEUE", "MEAN", "LAST SAVE",
	};

	t->n = 1 + json_reader_count(r, "/deployments");
	t->cells = xcalloc(t->n, sizeof(*t->cells));
	for (size_t c = 0; c < N_COLUMNS; c++)
		t->cells[0][c] = xstrdup(titles[c]);
	for (size_t i = 1; i < t->n; i++)
		put_row(t->cells[i], r, i - 1);
}

static void table_fini(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		for (size_t c = 0; c < N_COLUMNS; c++)
			free(t->cells[i][c]);
	free(t->cells);
}

static const char *color_of(const struct table *t, size_t row, size_t column)
{
	const char *cell = t->cells[row][column];

	if (!t->color)
		return "";
	if (row == 0)
		return "\033[2m";
	if (column == STALE)
		return "\033[33m";
	if (column != STATE)
		return "";
	if (strcmp(cell, "ready") == 0)
		return "\033[32m";
	return strcmp(cell, "loading") == 0 ? "\033[33m" : "\033[31m";
}

static void table_print(const struct table *t)
{
	int widths[N_COLUMNS] = { 0 };

	for (size_t i = 0; i < t->n; i++)
		for (size_t c = 0; c < N_COLUMNS; c++)
			if ((int)strlen(t->cells[i][c]) > widths[c])
				widths[c] = (int)strlen(t->cells[i][c]);
	for (size_t i = 0; i < t->n; i++) {
		for (size_t c = 0; c < N_COLUMNS; c++) {
			const char *color = color_of(t, i, c);
			bool words = c == NAME || c == STATE || c == STALE;
			int width = c == LAST_SAVE ? 0 : widths[c];

			printf("%s%s%*s%s", c ? "  " : "", color, words ? -width : width,
			       t->cells[i][c], *color ? "\033[0m" : "");
		}
		putchar('\n');
	}
}

static void print_head(const struct json_reader *r, const struct client *c)
{
	const char *version = json_reader_string(r, "/version");
	const char *url = json_reader_string(r, "/url"), *root = json_reader_string(r, "/root");
	double pid, uptime;

	printf("devserve %s  %s", version ? version : "?", url ? url : c->url);
	if (root)
		printf("  %s", root);
	if (json_reader_number(r, &pid, "/pid"))
		printf("  pid %.0f", pid);
	if (json_reader_number(r, &uptime, "/uptime_s"))
		printf("  up %.0f %s", uptime < 120 ? uptime : uptime / 60, uptime < 120 ? "s" : "min");
	puts("\n");
}

/* Why something doesn't serve: too long for a column. */
static void print_reasons(const struct json_reader *r)
{
	size_t n = json_reader_count(r, "/deployments");

	for (size_t i = 0; i < n; i++) {
		const char *name = json_reader_string(r, "/deployments/%zu/name", i);
		const char *reason = json_reader_string(r, "/deployments/%zu/reason", i);

		if (name && reason && *reason)
			printf("\n%s: %s\n", name, reason);
	}
}

static void print(const struct json_reader *r, const struct client *c, bool no_color)
{
	struct table t = { .color = style_has_color(STDOUT_FILENO, no_color) };

	print_head(r, c);
	table_init(&t, r);
	if (t.n > 1)
		table_print(&t);
	else
		puts("no deployments");
	table_fini(&t);
	print_reasons(r);
}

static int ask(const struct client_options *o, const struct client *c, struct buffer *why)
{
	_cleanup_buffer_ struct buffer body = BUFFER_NULL;
	struct json_reader *reader;
	int status, r;

	r = client_get(c, "/-/status", TIMEOUT_MS, &status, &body, why);
	if (r != 0)
		return r;
	if (status != 200 || json_reader_new(buffer_text(&body), body.size, &reader) < 0) {
		buffer_printf(why, "what answers at %s knows no status (HTTP %d)", c->url, status);
		return EXIT_FAILURE;
	}
	if (o->json)
		cli_print_json(&body);
	else
		print(reader, c, o->no_color);
	json_reader_free(reader);
	return 0;
}

static int run(void *options)
{
	const struct client_options *o = options;
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	_cleanup_client_ struct client client = CLIENT_NULL;
	int r = client_find(o, &client, &why);

	if (r == EXIT_USAGE)
		return cli_usage_error(&cli_status, &why);
	if (r == 0)
		r = ask(o, &client, &why);
	if (r != 0)
		cli_error(&why);
	return r;
}

const struct command cli_status = {
	.name = "status",
	.help = "show what a running server serves",
	.about = "Show what the running server serves: generations, workers, requests. Exits with 69 "
		 "when no server answers.",
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	.size = sizeof(struct client_options),
	.run = run,
};
