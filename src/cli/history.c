/* SPDX-License-Identifier: MIT */

/* Reads the file that history/ describes, so it needs no server; one may be writing it. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/suggestion.h"
#include "base/wrap.h"
#include "cli/cli.h"
#include "cli/history_page.h"
#include "cli/written.h"
#include "history/database.h"
#include "history/reader.h"
#include "serve/options.h"
#include "serve/style.h"

struct history_options {
	const char *name, *root, *state_dir;
	unsigned lines;
	bool served, json, no_color;
};

#define ROW(...) OPTION_ROW(history_options, __VA_ARGS__)

static const struct option_row rows[] = {
	ROW(lines, "lines", 'n', "N", UNSIGNED, "20", 0, 1000000, "list the last N; 0: all"),
	ROW(served, "served", 0, NULL, BOOL, NULL, 0, 0, "list instead which generation served when, and since what"),
	ROW(json, "json", 0, NULL, BOOL, NULL, 0, 0, "print a JSON object for each, on a line of its own"),
	ROW(no_color, "no-color", 0, NULL, BOOL, NULL, 0, 0, "print without colour"),
	ROW(root, "root", 0, "DIR", DIRECTORY, OPTIONS_DEFAULT_ROOT, 0, 0, "the directory of the deployments"),
	ROW(state_dir, "state-dir", 0, "DIR", DIRECTORY, NULL, 0, 0, "what the server was given as --state-dir"),
	OPTION_HELP_ROW,
};

static const struct operand operands[] = {
	{ .name = "NAME", .kind = OPTION_DEPLOYMENT, .offset = offsetof(struct history_options, name) },
};

static const struct example examples[] = {
	{ "devserve history matmul", "its last saves, how long they took and what became of them" },
	{ "devserve history matmul --served", "what served when" },
	{ "devserve history matmul -n 0 --json | jq 'select(.crashes > 0)'", "what crashed, ever" },
};

struct view {
	const struct history_options *o;
	struct history_reader *reader;
	int64_t now_ms; /* 0: no server runs */
	struct buffer out;
	unsigned n_listed;
};

static struct history_selection selection(const struct view *v, const char *name, unsigned last, bool fails)
{
	return (struct history_selection){ .deployment = name, .last = last, .fails = fails, .json = v->o->json,
					   .now_ms = v->now_ms };
}

/* JSON */

static void put_time(struct buffer *b, const char *key, int64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	char date[32], text[48];
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text, sizeof(text), "%s.%03dZ", date, (int)(ms % 1000));
	json_string(b, key, text);
}

static void put_verdict(struct buffer *b, const struct history_row *row)
{
	if (!*row->verdict)
		return;
	json_object(b, "verdict");
	json_string(b, "verdict", row->verdict);
	if (row->ratio > 0) {
		json_double(b, "ratio", row->ratio);
		json_double(b, "low", row->low);
		json_double(b, "high", row->high);
	}
	json_object_end(b);
}

static void put_generation(struct buffer *b, const struct history_row *row)
{
	json_uint(b, "generation", row->generation);
	json_uint(b, "before", row->before);
	json_string(b, "source", row->source);
	json_string(b, "image", row->image);
	json_string(b, "compiler", row->compiler);
	json_string(b, "flags", row->flags);
	json_bool(b, "cached", row->cached);
	put_verdict(b, row);
	json_double(b, "served_s", (double)row->served_ms / 1000);
	json_bool(b, "serves", row->serves);
	json_uint(b, "crashes", row->n_crashes);
	json_bool(b, "pinned", row->pinned);
	json_bool(b, "kept", row->kept);
	if (*row->json)
		json_raw(b, "save", row->json);
}

static bool print_json(void *context, const struct history_row *row)
{
	struct view *v = context;
	struct buffer *b = &v->out;

	json_object(b, NULL);
	put_time(b, "time", row->at);
	json_string(b, "deployment", row->deployment);
	json_string(b, "outcome", row->outcome);
	if (*row->reason)
		json_string(b, "reason", row->reason);
	json_double(b, "took_ms", (double)row->took_us / 1000);
	if (row->generation)
		put_generation(b, row);
	json_object_end(b);
	buffer_putc(b, '\n');
	return true;
}

/* For people */

static bool add_row(void *context, const struct history_row *row)
{
	history_page_add(context, row);
	return true;
}

static void put_trend(struct buffer *b, const char *what, const struct buffer *trend)
{
	if (trend->size)
		buffer_printf(b, "%-14s%s\n", what, trend->data);
}

static int print_one(struct view *v, struct buffer *why)
{
	const struct history_selection q = selection(v, v->o->name, v->o->lines, true);
	_cleanup_buffer_ struct buffer took = BUFFER_NULL, speed = BUFFER_NULL;
	struct history_page *page = history_page_new();
	int r = history_reader_rows(v->reader, &q, add_row, page, why);

	if (r == 0) {
		history_page_trends(page, &took, &speed);
		put_trend(&v->out, "to serving", &took);
		put_trend(&v->out, "speed", &speed);
		buffer_puts(&v->out, took.size ? "\n" : "");
		history_page_write(page, isatty(STDOUT_FILENO) ? terminal_width(STDOUT_FILENO) : 0,
				   style_has_color(STDOUT_FILENO, v->o->no_color), &v->out);
	}
	history_page_free(page);
	return r;
}

static void list_one(void *context, const struct history_deployment *d)
{
	struct view *v = context;
	const struct history_selection q = selection(v, d->name, 32, false);
	_cleanup_buffer_ struct buffer took = BUFFER_NULL, speed = BUFFER_NULL, ignored = BUFFER_NULL;
	struct history_page *page = history_page_new();

	v->n_listed++;
	history_reader_rows(v->reader, &q, add_row, page, &ignored);
	history_page_trends(page, &took, &speed);
	buffer_puts(&v->out, v->n_listed > 1 ? "\n" : "");
	style_harmless(&v->out, d->name, strlen(d->name));
	buffer_printf(&v->out, "  %u save%s, %u generation%s, the last save ", d->n_saves, d->n_saves == 1 ? "" : "s",
		      d->n_generations, d->n_generations == 1 ? "" : "s");
	history_time(&v->out, d->last_ms);
	if (d->serving && v->now_ms)
		buffer_printf(&v->out, "; generation %u serves", d->serving);
	buffer_putc(&v->out, '\n');
	put_trend(&v->out, "  to serving", &took);
	put_trend(&v->out, "  speed", &speed);
	history_page_free(page);
}

/* What served when */

static void print_serving_json(struct view *v, const struct history_serving *s)
{
	struct buffer *b = &v->out;

	json_object(b, NULL);
	json_string(b, "deployment", s->deployment);
	json_uint(b, "generation", s->generation);
	put_time(b, "since", s->since);
	if (s->until)
		put_time(b, "until", s->until);
	json_string(b, "why", s->why);
	json_object_end(b);
	buffer_putc(b, '\n');
}

static const char *reason_of(const char *why)
{
	static const struct {
		const char *event, *text;
	} reasons[] = {
		{ "swap.done", "saved, or started" },
		{ "deployment.rolled-back", "rolled back" },
		{ "deployment.fell-back", "the one before crashed" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (strcmp(reasons[i].event, why) == 0)
			return reasons[i].text;
	return why;
}

static void print_serving(void *context, const struct history_serving *s)
{
	struct view *v = context;

	if (v->o->json) {
		print_serving_json(v, s);
		return;
	}
	history_time(&v->out, s->since);
	buffer_puts(&v->out, " – ");
	if (s->until)
		history_time(&v->out, s->until);
	else
		buffer_printf(&v->out, "%-19s", v->now_ms ? "now" : "?");
	buffer_puts(&v->out, "  ");
	if (!v->o->name) {
		style_harmless(&v->out, s->deployment, strlen(s->deployment));
		buffer_puts(&v->out, "  ");
	}
	buffer_printf(&v->out, "gen %u  %s\n", s->generation, reason_of(s->why));
}

static int print(struct view *v, struct buffer *why)
{
	const struct history_selection q = selection(v, v->o->name, v->o->lines, true);

	if (v->o->served)
		return history_reader_servings(v->reader, v->o->name, v->o->lines, print_serving, v, why);
	if (v->o->json)
		return history_reader_rows(v->reader, &q, print_json, v, why);
	return v->o->name ? print_one(v, why)
			  : history_reader_deployments(v->reader, list_one, v, why);
}

/* A name that nothing has */

struct known {
	const char *name;
	bool there;
	struct suggestion suggestion;
	char best[128]; /* rows don't last */
};

static void consider(void *context, const struct history_deployment *d)
{
	struct known *k = context;

	k->there |= strcmp(k->name, d->name) == 0;
	suggestion_consider(&k->suggestion, d->name);
	if (k->suggestion.best == d->name) {
		snprintf(k->best, sizeof(k->best), "%s", d->name);
		k->suggestion.best = k->best;
	}
}

static int check_name(struct view *v, struct buffer *why)
{
	struct known k = { .name = v->o->name, .suggestion = { .word = v->o->name } };
	int r = v->o->name ? history_reader_deployments(v->reader, consider, &k, why) : 0;

	if (r != 0 || !v->o->name || k.there)
		return r;
	buffer_printf(why, "nothing is known of a deployment '%s'", v->o->name);
	if (k.suggestion.best)
		buffer_printf(why, "; did you mean '%s'?", k.suggestion.best);
	return DATABASE_MISSING;
}

static int run(void *options)
{
	const struct history_options *o = options;
	_cleanup_free_ char *directory = state_directory(o->root, o->state_dir);
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct view v = { .o = o };
	int r;

	if (cli_await_history(o->root, o->state_dir))
		v.now_ms = (int64_t)(clock_wall_ns() / NS_PER_MS);
	r = history_reader_open(directory, &v.reader, &why);
	if (r == 0)
		r = check_name(&v, &why);
	if (r == 0)
		r = print(&v, &why);
	if (v.out.size)
		fwrite(v.out.data, 1, v.out.size, stdout);
	buffer_fini(&v.out);
	history_reader_close(v.reader);
	return r == 0 ? EXIT_SUCCESS : cli_error(&why);
}

const struct command cli_history = {
	.name = "history",
	.help = "list saves and what became of them",
	.about = "List the last saves of the deployment NAME: which generation each became, how long it took to "
		 "serve, whether it was faster, how long it served and how often it crashed; or why it did not serve. "
		 "Without NAME, a summary of every deployment. No server is needed.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	.size = sizeof(struct history_options),
	.run = run,
};
