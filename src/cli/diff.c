/* SPDX-License-Identifier: MIT */

/*
 * Everything comes from the history and its kept images, so no server is needed; while one runs, its
 * recordings are requests to compare the answers of.
 */

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/generations_diff.h"
#include "cli/text_diff.h"
#include "cli/written.h"
#include "history/database.h"
#include "history/reader.h"
#include "serve/options.h"
#include "serve/style.h"

struct diff_options {
	const char *name, *a, *b, *root, *state_dir;
	bool code, json, no_color;
};

#define ROW(...) OPTION_ROW(diff_options, __VA_ARGS__)

static const struct option_row rows[] = {
	ROW(code, "code", 0, NULL, BOOL, NULL, 0, 0, "print the assembly of functions that changed"),
	ROW(json, "json", 0, NULL, BOOL, NULL, 0, 0, "print one JSON object"),
	ROW(no_color, "no-color", 0, NULL, BOOL, NULL, 0, 0, "print without colour"),
	ROW(root, "root", 0, "DIR", DIRECTORY, OPTIONS_DEFAULT_ROOT, 0, 0, "the directory of the deployments"),
	ROW(state_dir, "state-dir", 0, "DIR", DIRECTORY, NULL, 0, 0, "what the server was given as --state-dir"),
	OPTION_HELP_ROW,
};

static const struct operand operands[] = {
	{ .name = "NAME",
	  .kind = OPTION_DEPLOYMENT,
	  .offset = offsetof(struct diff_options, name),
	  .missing = "which deployment? 'devserve history' lists them" },
	{ .name = "A", .kind = OPTION_STRING, .offset = offsetof(struct diff_options, a) },
	{ .name = "B", .kind = OPTION_STRING, .offset = offsetof(struct diff_options, b) },
};

static const struct example examples[] = {
	{ "devserve diff matmul", "what serves, beside the one before it" },
	{ "devserve diff matmul 7 9 --code", "two generations, with their assembly" },
};

/* Which two */

struct choice {
	struct diff_options o;   /* the operands as they are meant */
	const char *only;        /* the only deployment there is, if there is just one */
	char name[128];
	unsigned n;
	bool known;
	uint32_t serving;
};

static void consider(void *context, const struct history_deployment *d)
{
	struct choice *c = context;

	if (c->n++ == 0)
		snprintf(c->name, sizeof(c->name), "%s", d->name);
	if (strcmp(d->name, c->o.name) == 0) {
		c->known = true;
		c->serving = d->serving ? d->serving : d->newest;
	} else if (!c->known) {
		c->serving = d->serving ? d->serving : d->newest;
	}
}

/* "devserve diff 7 8": there is but one that can be meant. */
static void shift(struct choice *c)
{
	if (c->known || c->n != 1 || c->o.b || c->o.name[strspn(c->o.name, "0123456789")])
		return;
	c->o.b = c->o.a;
	c->o.a = c->o.name;
	c->o.name = c->name;
	c->known = true;
}

static bool read_number(const char *text, uint32_t *ret)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*ret = (uint32_t)n;
	return isdigit((unsigned char)*text) && !*end && n > 0 && n <= UINT32_MAX;
}

static int choose(struct history_reader *r, struct choice *c, struct generations_diff *d, struct buffer *why)
{
	uint32_t a = 0, b = 0;
	int e = history_reader_deployments(r, consider, c, why);

	if (e != 0)
		return e;
	shift(c);
	if (!c->known)
		buffer_printf(why, "nothing is known of a deployment '%s'", c->o.name);
	else if ((c->o.a && !read_number(c->o.a, &a)) || (c->o.b && !read_number(c->o.b, &b)))
		buffer_puts(why, "A and B are numbers of generations; 'devserve history' lists them");
	else if (!b && !c->serving)
		buffer_printf(why, "%s never served: there are no generations to compare", c->o.name);
	if (why->size)
		return DATABASE_MISSING;
	return generations_diff_read(r, c->o.name, a, b ? b : c->serving, d, why);
}

/* For people */

struct page {
	const struct diff_options *o;
	struct style style;
	struct buffer out;
};

static void put_head(struct page *p, const struct generations_diff *d)
{
	buffer_puts(&p->out, BOLD(&p->style));
	style_harmless(&p->out, p->o->name, strlen(p->o->name));
	buffer_printf(&p->out, "%s  gen %" PRIu32 "→%" PRIu32 "\n", PLAIN(&p->style), d->a.number, d->b.number);
}

static void put_title(struct page *p, const char *title)
{
	buffer_printf(&p->out, "\n%s%s%s  ", BOLD(&p->style), title, PLAIN(&p->style));
}

static int put_sources(struct page *p, const struct generations_diff *d, struct buffer *why)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	int r = generations_diff_source(d, p->style.color, &text, why);

	if (r != 0)
		return r;
	put_title(p, "source");
	if (d->a.n_files == 0 || d->b.n_files == 0)
		buffer_puts(&p->out, "isn't kept\n");
	else if (!text.size)
		buffer_puts(&p->out, "the same\n");
	else
		buffer_printf(&p->out, "\n%s", text.data);
	if (strcmp(d->a.flags, d->b.flags) != 0)
		buffer_printf(&p->out, "flags were  %s\nflags are   %s\n", d->a.flags, d->b.flags);
	if (strcmp(d->a.compiler, d->b.compiler) != 0)
		buffer_printf(&p->out, "compiler was  %s\ncompiler is   %s\n", d->a.compiler, d->b.compiler);
	return 0;
}

static void put_speed(struct page *p, const struct generations_diff *d)
{
	put_title(p, "speed");
	generations_diff_speed(d, &p->out);
	buffer_putc(&p->out, '\n');
}

static void put_numbers(struct page *p, const struct generations_diff *d)
{
	put_title(p, "answers");
	if (!d->has_images)
		buffer_puts(&p->out, "can't be compared: the image of one isn't kept any more\n");
	else if (d->unasked)
		buffer_printf(&p->out, "%s\n", d->unasked);
	else if (!d->n_answers)
		buffer_puts(&p->out, "not compared: there is no golden case, and no recording of a server that runs\n");
	else
		buffer_printf(&p->out, "to %zu request%s\n", d->n_answers, d->n_answers == 1 ? "" : "s");
	for (size_t i = 0; i < d->n_answers; i++) {
		const struct answer_diff *a = &d->answers[i];
		bool fine = a->outcome <= CASE_CLOSE;

		buffer_printf(&p->out, "  %-20s  %s%s%s", a->what, fine ? GREEN(&p->style) : RED(&p->style),
			      case_outcome_name(a->outcome), PLAIN(&p->style));
		if (a->sentence) {
			buffer_puts(&p->out, "  ");
			style_harmless(&p->out, a->sentence, strlen(a->sentence));
		}
		buffer_putc(&p->out, '\n');
	}
}

static int put_assembly(struct page *p, const struct generations_diff *d, const struct function_diff *f,
			struct buffer *why)
{
	_cleanup_free_ char *before = xasprintf("%s (gen %" PRIu32 ")", f->name, d->a.number);
	_cleanup_free_ char *after = xasprintf("%s (gen %" PRIu32 ")", f->name, d->b.number);

	return text_diff(f->before, f->after, before, after, p->style.color, &p->out, why);
}

static int put_code(struct page *p, const struct generations_diff *d, struct buffer *why)
{
	int r = 0;

	put_title(p, "code");
	if (!d->has_images)
		buffer_puts(&p->out, "can't be compared: the image of one isn't kept any more\n");
	else
		buffer_printf(&p->out, "%zu function%s changed, %zu did not%s\n", d->n_functions,
			      d->n_functions == 1 ? "" : "s", d->n_same,
			      d->other_constants ? "; constants (.rodata) differ" : "");
	for (size_t i = 0; i < d->n_functions; i++) {
		const struct function_diff *f = &d->functions[i];

		buffer_puts(&p->out, "  ");
		style_harmless(&p->out, f->name, strlen(f->name));
		if (!f->before)
			buffer_printf(&p->out, "  new, %zu instructions\n", f->n_after);
		else if (!f->after)
			buffer_printf(&p->out, "  gone, was %zu instructions\n", f->n_before);
		else
			buffer_printf(&p->out, "  %zu→%zu instructions\n", f->n_before, f->n_after);
	}
	for (size_t i = 0; i < d->n_functions && p->o->code && r == 0; i++)
		r = put_assembly(p, d, &d->functions[i], why);
	return r;
}

static int print_text(const struct diff_options *o, const struct generations_diff *d, struct buffer *why)
{
	struct page p = { .o = o };
	int r;

	style_init(&p.style, STDOUT_FILENO, o->root, o->no_color);
	put_head(&p, d);
	r = put_sources(&p, d, why);
	put_speed(&p, d);
	put_numbers(&p, d);
	if (r == 0)
		r = put_code(&p, d, why);
	fputs(p.out.data, stdout);
	buffer_fini(&p.out);
	style_fini(&p.style);
	return r;
}

static int print_json(const struct diff_options *o, const struct generations_diff *d, struct buffer *why)
{
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;
	int r;

	json_object(&json, NULL);
	json_string(&json, "deployment", o->name);
	r = generations_diff_json(d, &json, why);
	json_object_end(&json);
	if (r == 0)
		puts(json.data);
	return r;
}

static int run(void *options)
{
	struct choice c = { .o = *(const struct diff_options *)options };
	_cleanup_free_ char *directory = state_directory(c.o.root, c.o.state_dir);
	struct generations_diff d = GENERATIONS_DIFF_NULL;
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	struct history_reader *reader = NULL;
	int r;

	cli_await_history(c.o.root, c.o.state_dir);
	r = history_reader_open(directory, &reader, &why);
	if (r == 0)
		r = choose(reader, &c, &d, &why);
	if (r == 0)
		r = generations_diff_compare(&d, &(struct generations_place){ c.o.name, c.o.root, c.o.state_dir }, &why);
	if (r == 0)
		r = c.o.json ? print_json(&c.o, &d, &why) : print_text(&c.o, &d, &why);
	generations_diff_fini(&d);
	history_reader_close(reader);
	return r == 0 ? EXIT_SUCCESS : cli_error(&why);
}

const struct command cli_diff = {
	.name = "diff",
	.help = "compare two generations",
	.about = "Compare two generations of the deployment NAME: source, flags, speed, answers to the same requests, "
		 "and the functions whose code differs. Without B, with what serves; without A, B with the "
		 "generation that served before it. NAME may be left out where there is only one. Answers are those "
		 "to the golden cases and, while a server runs, to its newest recordings, computed in processes of "
		 "their own.",
	COMMAND_EXAMPLES(examples),
	COMMAND_ROWS(rows),
	COMMAND_OPERANDS(operands),
	.size = sizeof(struct diff_options),
	.run = run,
};
