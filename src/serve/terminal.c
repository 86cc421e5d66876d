/* SPDX-License-Identifier: MIT */

/*
 * When it is printed; what is, serve/event_text.c says. After a crash the report takes longest,
 * for debug information is read for it. Who took over and what serves again wait for it, so that
 * the story is always told in the same order.
 */

#include "serve/terminal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/columns.h"
#include "base/memory.h"
#include "serve/event.h"
#include "serve/event_text.h"
#include "serve/options.h"
#include "serve/progress.h"
#include "serve/report.h"
#include "serve/screen.h"
#include "serve/style.h"

#define FEW 10 /* plugins whose first builds need no line of their own */

/* A line that waits for the report of its deployment's crash. */
struct held {
	TAILQ_ENTRY(held) entry;
	char *deployment, *line;
	enum event_kind kind;
};

struct terminal {
	struct events *events;         /* borrowed */
	const struct reports *reports; /* borrowed; or NULL */
	struct style style;
	struct screen *screen;
	struct progress *progress;
	TAILQ_HEAD(, held) held;
	char *headline;    /* where the server is, once it is known */
	char *prompt;      /* lies over the progress; or NULL */
	bool checking;     /* nothing is served: `devserve check` */
	bool quiet;        /* log lines are not shown */
	uint64_t n_hidden; /* how many were not */
	size_t n_told;     /* first builds that had ended at the last line of progress */
};

/* What waits for a report */

static void held_free(struct terminal *t, struct held *h)
{
	TAILQ_REMOVE(&t->held, h, entry);
	free(h->deployment);
	free(h->line);
	free(h);
}

/* Who took over with a generation that then turned out to be at fault is no news any more. */
static void drop_takeovers(struct terminal *t, const char *deployment)
{
	struct held *h, *next;

	for (h = TAILQ_FIRST(&t->held); h; h = next) {
		next = TAILQ_NEXT(h, entry);
		if (h->kind == EVENT_WORKER_REPLACED && strcmp(h->deployment, deployment) == 0)
			held_free(t, h);
	}
}

static void hold(struct terminal *t, const struct event *e, struct buffer *text)
{
	struct held *h = xcalloc(1, sizeof(*h));

	if (e->kind == EVENT_DEPLOYMENT_FELL_BACK)
		drop_takeovers(t, e->deployment);
	h->deployment = xstrdup(e->deployment);
	h->kind = e->kind;
	h->line = buffer_steal(text);
	TAILQ_INSERT_TAIL(&t->held, h, entry);
}

/* @deployment NULL: of all. */
static void release(struct terminal *t, const char *deployment)
{
	struct held *h, *next;

	for (h = TAILQ_FIRST(&t->held); h; h = next) {
		next = TAILQ_NEXT(h, entry);
		if (deployment && strcmp(h->deployment, deployment) != 0)
			continue;
		screen_print(t->screen, h->line, strlen(h->line));
		held_free(t, h);
	}
}

static bool must_wait(const struct terminal *t, const struct event *e)
{
	return (e->kind == EVENT_WORKER_REPLACED || e->kind == EVENT_DEPLOYMENT_FELL_BACK) && t->reports &&
	       reports_are_due(t->reports, e->deployment);
}

void terminal_set_reports(struct terminal *t, const struct reports *reports)
{
	t->reports = reports;
	if (!reports)
		release(t, NULL);
}

/* The line below */

static void show_live(struct terminal *t)
{
	_cleanup_buffer_ struct buffer line = BUFFER_NULL;

	if (t->style.color && !t->prompt)
		progress_describe(t->progress, &line);
	screen_set_live(t->screen, t->prompt ? t->prompt : line.size ? line.data : NULL);
}

/*
 * Where no line can be written over, each quarter of the first builds has one; but a check is
 * read by programs.
 */
static void tell_progress(struct terminal *t)
{
	_cleanup_buffer_ struct buffer line = BUFFER_NULL;
	size_t done, all;

	progress_count(t->progress, &done, &all);
	if (t->style.color || t->checking || all <= FEW || done == all || done * 4 / all == t->n_told * 4 / all)
		return;
	t->n_told = done;
	buffer_printf(&line, "building %zu/%zu\n", done, all);
	screen_print(t->screen, line.data, line.size);
}

bool terminal_is_live(const struct terminal *t)
{
	return screen_is_live(t->screen);
}

void terminal_set_checking(struct terminal *t)
{
	t->checking = true;
}

void terminal_set_prompt(struct terminal *t, const char *prompt)
{
	free(t->prompt);
	t->prompt = prompt ? xstrdup(prompt) : NULL;
	show_live(t);
}

void terminal_redraw(struct terminal *t)
{
	screen_redraw(t->screen);
}

/* All of it */

static bool is_hidden(struct terminal *t, const struct event *e)
{
	if (e->kind != EVENT_LOG || !t->quiet)
		return false;
	t->n_hidden++;
	return true;
}

static void tell(struct terminal *t, const struct event *e)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	event_text(&t->style, &text, e, t->checking, screen_columns(t->screen));
	if (text.size && must_wait(t, e))
		hold(t, e, &text);
	else if (text.size)
		screen_print(t->screen, text.data, text.size);
	if (e->kind == EVENT_SERVER_LISTENING) {
		free(t->headline);
		t->headline = buffer_steal(&text);
	}
	if (e->kind == EVENT_CRASH_REPORT || e->kind == EVENT_SANITIZER_REPORT)
		release(t, e->deployment);
}

static void on_event(void *context, const struct event *e, const char *json, size_t size)
{
	struct terminal *t = context;

	(void)json, (void)size;
	if (!is_hidden(t, e))
		tell(t, e);
	if (!progress_take(t->progress, e))
		return;
	tell_progress(t);
	show_live(t);
}

void terminal_say(struct terminal *t, const char *line)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	columns_fold(&text, line, strlen(line), screen_columns(t->screen));
	buffer_putc(&text, '\n');
	screen_print(t->screen, text.data, text.size);
}

void terminal_toggle_logs(struct terminal *t)
{
	_cleanup_buffer_ struct buffer line = BUFFER_NULL;

	t->quiet = !t->quiet;
	if (t->quiet) {
		terminal_say(t, "log lines are hidden; l shows them again");
	} else if (t->n_hidden) {
		buffer_printf(&line, "log lines are shown; %" PRIu64 " were hidden: devserve logs NAME has them",
			      t->n_hidden);
		terminal_say(t, line.data);
	} else {
		terminal_say(t, "log lines are shown");
	}
	t->n_hidden = 0;
}

void terminal_clear(struct terminal *t)
{
	screen_clear(t->screen);
	if (t->headline)
		screen_print(t->screen, t->headline, strlen(t->headline));
}

struct terminal *terminal_new(struct events *events, const struct options *o)
{
	struct terminal *t = xcalloc(1, sizeof(*t));

	t->events = events;
	style_init(&t->style, STDOUT_FILENO, o->root ? o->root : OPTIONS_DEFAULT_ROOT, o->no_color);
	t->screen = screen_new(STDOUT_FILENO);
	t->progress = progress_new();
	TAILQ_INIT(&t->held);
	events_add_sink(events, on_event, t);
	return t;
}

struct terminal *terminal_free(struct terminal *t)
{
	if (!t)
		return NULL;
	events_remove_sink(t->events, on_event, t);
	release(t, NULL);
	screen_free(t->screen);
	progress_free(t->progress);
	style_fini(&t->style);
	free(t->headline);
	free(t->prompt);
	free(t);
	return NULL;
}
