/* SPDX-License-Identifier: MIT */

/*
 * A recursion that ran out of stack is forty times the same frame, or the same two or three in
 * turn: they are shown once, with how often.
 */

#include "serve/crash_text.h"

#include <stdbool.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "build/build.h"
#include "serve/event.h"
#include "serve/style.h"

#define LONGEST_CYCLE 4

static bool has_source(const struct event_frame *f)
{
	return f->text[0] || f->changed;
}

/* The first frame whose source the author can read, and wrote, if there is one. */
static const struct event_frame *frame_to_show(const struct style *s, const struct event *e)
{
	const struct event_frame *first = NULL;

	for (size_t i = 0; i < e->n_frames; i++) {
		const struct event_frame *f = &e->frames[i];

		if (!has_source(f))
			continue;
		if (s->root && path_is_below(f->file, s->root))
			return f;
		first = first ? first : f;
	}
	return first;
}

static void put_place(const struct style *s, struct buffer *b, const struct event_frame *f)
{
	if (f->file[0])
		style_place(s, b, f->file, f->line, 0);
}

static void put_source(const struct style *s, struct buffer *b, const struct event_frame *f)
{
	buffer_printf(b, "    %s", BOLD(s));
	put_place(s, b, f);
	buffer_printf(b, "%s\n %6u │ ", PLAIN(s), f->line);
	if (f->changed)
		buffer_printf(b, "%s(saved since this was built: line %u may be another now)%s", DIM(s), f->line,
			      PLAIN(s));
	style_harmless(b, f->text, strlen(f->text));
	buffer_putc(b, '\n');
}

static bool are_equal(const struct event_frame *a, const struct event_frame *b)
{
	return a->line == b->line && strcmp(a->function, b->function) == 0 && strcmp(a->file, b->file) == 0;
}

/* How often the @cycle frames from @i on come, one after the other: at least once. */
static size_t count_turns(const struct event *e, size_t i, size_t cycle)
{
	size_t n = 0;

	while (i + n + cycle < e->n_frames && are_equal(&e->frames[i + n], &e->frames[i + n + cycle]))
		n++;
	return n / cycle + 1;
}

/* The shortest cycle that starts with frame @i; 1 if none does. */
static size_t find_cycle(const struct event *e, size_t i, size_t *ret_turns)
{
	for (size_t cycle = 1; cycle <= LONGEST_CYCLE; cycle++) {
		*ret_turns = count_turns(e, i, cycle);
		if (*ret_turns > 2)
			return cycle;
	}
	*ret_turns = 1;
	return 1;
}

static void put_frame(const struct style *s, struct buffer *b, const struct event *e, size_t i)
{
	const struct event_frame *f = &e->frames[i];

	buffer_printf(b, "    %s#%zu ", DIM(s), i);
	style_harmless(b, f->function, strlen(f->function));
	buffer_puts(b, "  ");
	put_place(s, b, f);
	buffer_printf(b, "%s\n", PLAIN(s));
}

static void put_frames(const struct style *s, struct buffer *b, const struct event *e)
{
	size_t cycle, turns;

	for (size_t i = 0; i < e->n_frames; i += cycle * turns) {
		cycle = find_cycle(e, i, &turns);
		for (size_t j = 0; j < cycle; j++)
			put_frame(s, b, e, i + j);
		if (turns > 1 && cycle == 1)
			buffer_printf(b, "    %s   … %zu times%s\n", DIM(s), turns, PLAIN(s));
		else if (turns > 1)
			buffer_printf(b, "    %s   … these %zu, %zu times%s\n", DIM(s), cycle, turns, PLAIN(s));
	}
}

void crash_text(const struct style *s, struct buffer *b, const struct event *e)
{
	const struct event_frame *f = frame_to_show(s, e);

	if (f)
		put_source(s, b, f);
	if (e->found_late)
		buffer_puts(b, "    found when infer() had returned: somewhere in that call\n");
	if (e->call) {
		buffer_puts(b, "    called with ");
		style_sentence(b, e->call);
		buffer_putc(b, '\n');
	}
	put_frames(s, b, e);
}

void finding_text(const struct style *s, struct buffer *b, const struct event *e)
{
	crash_text(s, b, e);
	for (size_t i = 1; i < e->n_diagnostics; i++) {
		const struct diagnostic *d = &e->diagnostics[i];

		buffer_puts(b, "    ");
		if (d->file)
			style_place(s, b, d->file, d->line, d->column);
		buffer_puts(b, d->file ? ": " : "");
		style_sentence(b, d->message);
		buffer_putc(b, '\n');
	}
}
