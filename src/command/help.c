/* SPDX-License-Identifier: MIT */
#include "command/help.h"

#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/wrap.h"
#include "command/command.h"

#define INDENT 2
#define GAP 2
#define NARROW 24 /* columns, in which a text would be a word a line */
#define BELOW 6   /* where it starts then, on a line of its own */

struct page {
	struct help_style style;
	struct buffer *text;
};

static void put_heading(const struct page *p, const char *heading)
{
	buffer_printf(p->text, p->style.color ? "\n\033[1m%s:\033[0m\n" : "\n%s:\n", heading);
}

/* "  TERM   TEXT": the text starts at @column, or on the next line after a long term. */
static void put_item(const struct page *p, const char *term, size_t column, const char *text)
{
	size_t at = INDENT + text_columns(term);

	if (column + NARROW > p->style.width)
		column = BELOW;
	buffer_printf(p->text, "%*s%s", INDENT, "", term);
	if (at + GAP > column) {
		buffer_putc(p->text, '\n');
		at = 0;
	}
	buffer_printf(p->text, "%*s", (int)(column - at), "");
	text_wrap(p->text, text, column, column, p->style.width);
	buffer_putc(p->text, '\n');
}

static char *term_of(const struct option_row *row)
{
	const char *space = row->argument ? " " : "", *argument = row->argument ? row->argument : "";

	if (row->letter)
		return xasprintf("-%c, --%s%s%s", row->letter, row->name, space, argument);
	return xasprintf("    --%s%s%s", row->name, space, argument);
}

static void put_row(const struct page *p, const struct option_row *row)
{
	_cleanup_free_ char *term = term_of(row);
	_cleanup_free_ char *text = row->fallback ? xasprintf("%s (%s)", option_help(row), row->fallback)
						  : xstrdup(option_help(row));

	put_item(p, term, 30, text);
}

static void put_section(const struct page *p, const struct command *c, enum option_section section)
{
	static const char *const headings[N_OPTION_SECTIONS] = {
		[OPTIONS_GENERAL] = "Options",
		[OPTIONS_CHECKING] = "Checking",
		[OPTIONS_WATCHING] = "Watching",
		[OPTIONS_LISTENING] = "Listening",
		[OPTIONS_LIMITS] = "Limits",
	};
	bool first = true;

	for (size_t i = 0; i < c->n_rows; i++) {
		if (c->rows[i].section != section || !command_takes(c, &c->rows[i]))
			continue;
		if (first)
			put_heading(p, headings[section]);
		first = false;
		put_row(p, &c->rows[i]);
	}
}

static void put_examples(const struct page *p, const struct command *c)
{
	size_t column = 0;

	if (!c->n_examples)
		return;
	put_heading(p, "Examples");
	for (size_t i = 0; i < c->n_examples; i++) {
		size_t size = INDENT + text_columns(c->examples[i].line) + GAP;

		column = size > column && size <= 44 ? size : column;
	}
	for (size_t i = 0; i < c->n_examples; i++)
		put_item(p, c->examples[i].line, column, c->examples[i].what);
}

static void put_commands(const struct page *page, const struct program *p)
{
	put_heading(page, "Commands");
	for (size_t i = 1; i < p->n_commands; i++)
		put_item(page, p->commands[i]->name, 14, p->commands[i]->help);
}

static void put_exits(const struct page *p, const struct command *c)
{
	if (!c->n_exits)
		return;
	put_heading(p, "Exit status");
	for (size_t i = 0; i < c->n_exits; i++) {
		_cleanup_free_ char *term = xasprintf("%d", c->exits[i].status);

		put_item(p, term, 7, c->exits[i].meaning);
	}
}

void command_help(const struct program *p, const struct command *c, struct help_style style,
		  struct buffer *ret)
{
	const struct page page = { style, ret };
	_cleanup_free_ char *name = command_full_name(p, c);

	buffer_printf(ret, "Usage: %s ", name);
	command_synopsis(c, ret);
	buffer_puts(ret, "\n\n");
	text_wrap(ret, c->about, 0, 0, style.width);
	buffer_putc(ret, '\n');
	put_examples(&page, c);
	if (c == p->commands[0])
		put_commands(&page, p);
	for (int section = 0; section < N_OPTION_SECTIONS; section++)
		put_section(&page, c, section);
	put_exits(&page, c);
	if (c == p->commands[0]) {
		buffer_putc(ret, '\n');
		text_wrap(ret, "Every option can come from the environment: DEVSERVE_MAX_BODY=1G. "
			       "'devserve help COMMAND' says more about a command, "
			       "'man devserve' everything.", 0, 0, style.width);
		buffer_putc(ret, '\n');
	}
}
