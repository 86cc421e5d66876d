/* SPDX-License-Identifier: MIT */

/*
 * One page for all commands: who types `man devserve` and searches finds everything. Only
 * the macros of man(7) that every implementation knows. A text never starts a line as it is,
 * so that a '.' or a quote at its start isn't taken for a request.
 */

#include "command/manual.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "command/command.h"

/* One character that roff must not understand. */
static void put_character(struct buffer *b, char c)
{
	switch (c) {
	case '\\':
		buffer_puts(b, "\\e");
		break;
	case '-':
		buffer_puts(b, "\\-");
		break;
	case '\'':
		buffer_puts(b, "\\(aq");
		break;
	case '`':
		buffer_puts(b, "\\(ga");
		break;
	case '^':
		buffer_puts(b, "\\(ha");
		break;
	case '~':
		buffer_puts(b, "\\(ti");
		break;
	default:
		buffer_putc(b, c);
	}
}

static void put_words(struct buffer *b, const char *text)
{
	for (; *text; text++)
		put_character(b, *text);
}

/* A sentence a line, as roff wants it: it then sets the space between two of them. */
static bool ends_sentence(const char *text, size_t at)
{
	return text[at] == ' ' && at > 1 && strchr(".?!", text[at - 1]) && text[at + 1] &&
	       (isupper((unsigned char)text[at + 1]) || strchr("'-", text[at + 1])) &&
	       text[at - 2] != '.';
}

static void put_text(struct buffer *b, const char *text)
{
	buffer_puts(b, "\\&");
	for (size_t i = 0; text[i]; i++) {
		if (text[i] == '\n' && text[i + 1] == '\n') {
			buffer_puts(b, "\n.PP\n\\&");
			i += strspn(text + i, "\n") - 1;
		} else if (ends_sentence(text, i)) {
			buffer_puts(b, "\n\\&");
		} else {
			put_character(b, text[i] == '\n' ? ' ' : text[i]);
		}
	}
	buffer_putc(b, '\n');
}

static void put_heading(struct buffer *b, const char *title)
{
	buffer_printf(b, ".SH %s\n", title);
}

/* A term, in bold, and what it says. */
static void put_term(struct buffer *b, const char *term, const char *text)
{
	buffer_puts(b, ".TP\n\\fB");
	put_words(b, term);
	buffer_puts(b, "\\fR\n");
	put_text(b, text);
}

static void put_default(struct buffer *b, const struct option_row *row)
{
	if (row->fallback) {
		buffer_puts(b, "Default: ");
		put_words(b, row->fallback);
		buffer_puts(b, ".\n");
	}
}

static void put_row(struct buffer *b, const struct option_row *row)
{
	buffer_puts(b, ".TP\n");
	if (row->letter)
		buffer_printf(b, "\\fB\\-%c\\fR, ", row->letter);
	buffer_puts(b, "\\fB\\-\\-");
	put_words(b, row->name);
	buffer_puts(b, "\\fR");
	if (row->argument) {
		buffer_puts(b, " \\fI");
		put_words(b, row->argument);
		buffer_puts(b, "\\fR");
	}
	buffer_putc(b, '\n');
	buffer_printf(b, "\\&%c", toupper((unsigned char)option_help(row)[0]));
	put_words(b, option_help(row) + 1);
	buffer_puts(b, ".\n");
	if (option_more(row))
		put_text(b, option_more(row));
	put_default(b, row);
}

static void put_rows(struct buffer *b, const struct command *c)
{
	for (int section = 0; section < N_OPTION_SECTIONS; section++)
		for (size_t i = 0; i < c->n_rows; i++)
			if ((int)c->rows[i].section == section && command_takes(c, &c->rows[i]))
				put_row(b, &c->rows[i]);
}

static void put_examples(struct buffer *b, const struct command *c)
{
	for (size_t i = 0; i < c->n_examples; i++)
		put_term(b, c->examples[i].line, c->examples[i].what);
}

static void put_exits(struct buffer *b, const struct exit_status *exits, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *status = xasprintf("%d", exits[i].status);

		put_term(b, status, exits[i].meaning);
	}
}

static void put_synopsis(struct buffer *b, const struct program *p, const struct command *c)
{
	_cleanup_buffer_ struct buffer synopsis = BUFFER_NULL;
	_cleanup_free_ char *name = command_full_name(p, c);

	command_synopsis(c, &synopsis);
	buffer_puts(b, "\\fB");
	put_words(b, name);
	buffer_puts(b, "\\fR ");
	put_words(b, synopsis.data);
	buffer_putc(b, '\n');
}

static void put_head(struct buffer *b, const struct program *p)
{
	buffer_puts(b, ".\\\" Made from the table of commands; do not edit.\n.TH ");
	for (const char *c = p->name; *c; c++)
		buffer_putc(b, (char)toupper((unsigned char)*c));
	buffer_printf(b, " 1 \"%s\" \"%s %s\" \"User Commands\"\n", p->released, p->name, p->version);
	put_heading(b, "NAME");
	buffer_printf(b, "%s \\- %s\n", p->name, p->purpose);
	put_heading(b, "SYNOPSIS");
	for (size_t i = 0; i < p->n_commands; i++) {
		if (i)
			buffer_puts(b, ".br\n");
		put_synopsis(b, p, p->commands[i]);
	}
}

static void put_command(struct buffer *b, const struct program *p, const struct command *c)
{
	_cleanup_free_ char *name = command_full_name(p, c);

	buffer_printf(b, ".SS %s\n", name);
	put_synopsis(b, p, c);
	buffer_puts(b, ".PP\n");
	put_text(b, c->about);
	put_rows(b, c);
	if (c->n_exits) {
		buffer_puts(b, ".PP\nExit status:\n");
		put_exits(b, c->exits, c->n_exits);
	}
	if (c->n_examples)
		buffer_puts(b, ".PP\nExamples:\n");
	put_examples(b, c);
}

static void put_page(struct buffer *b, const struct command_page *page)
{
	put_heading(b, page->title);
	for (const char *const *term = page->terms; term[0]; term += 2)
		put_term(b, term[0], term[1]);
}

void program_manual(const struct program *p, struct buffer *ret)
{
	const struct command *first = p->commands[0];

	put_head(ret, p);
	put_heading(ret, "DESCRIPTION");
	put_text(ret, first->about);
	put_heading(ret, "OPTIONS");
	put_rows(ret, first);
	put_heading(ret, "COMMANDS");
	for (size_t i = 1; i < p->n_commands; i++)
		put_command(ret, p, p->commands[i]);
	put_heading(ret, "\"EXIT STATUS\"");
	put_exits(ret, p->exits, p->n_exits);
	for (size_t i = 0; i < p->n_pages; i++)
		put_page(ret, &p->pages[i]);
	put_heading(ret, "EXAMPLES");
	put_examples(ret, first);
}
