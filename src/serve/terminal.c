/* SPDX-License-Identifier: MIT */

/*
 * What is printed when. A save that swaps is one line, made from save.done; a save that
 * fails is told by the event that knows why (build.failed, trial.failed, swap.refused), and
 * its save.done prints nothing, nor does that of a save which changed nothing or which a
 * newer one overtook.
 *
 * The compiler's text goes out as it is, colours included. All other text may come from a
 * plugin, so it loses its control characters: a log line must not move the cursor.
 */

#include "serve/terminal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "build/build.h"
#include "serve/event.h"
#include "serve/options.h"
#include "serve/output.h"

struct terminal {
	struct events *events; /* borrowed */
	struct output *output;
	bool color;
};

/* Style */

static const char *style(const struct terminal *t, const char *code)
{
	return t->color ? code : "";
}

#define PLAIN(t) style(t, "\033[0m")
#define BOLD(t) style(t, "\033[1m")
#define DIM(t) style(t, "\033[2m")
#define RED(t) style(t, "\033[31m")
#define GREEN(t) style(t, "\033[32m")
#define YELLOW(t) style(t, "\033[33m")

bool terminal_has_color(int fd, bool no_color)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

	return !no_color && !(none && *none) && term && strcmp(term, "dumb") != 0 && isatty(fd);
}

/* ESC '[' parameters letter */
static size_t escape_sequence(const char *s, size_t size)
{
	size_t n = 2;

	if (size < 3 || s[0] != '\033' || s[1] != '[')
		return 0;
	while (n < size && (unsigned char)s[n] >= 0x20 && (unsigned char)s[n] < 0x40)
		n++;
	return n < size ? n + 1 : n;
}

static void put_harmless(struct buffer *b, const char *s, size_t size)
{
	for (size_t i = 0; i < size;) {
		size_t escape = escape_sequence(s + i, size - i);
		unsigned char c = (unsigned char)s[i], next = i + 1 < size ? (unsigned char)s[i + 1] : 0;
		bool c1 = c == 0xc2 && next >= 0x80 && next < 0xa0;

		if (escape) {
			i += escape;
			continue;
		}
		buffer_putc(b, (c < 0x20 && c != '\t') || c == 0x7f || c1 ? '?' : s[i]);
		i += c1 ? 2 : 1;
	}
}

/* A sentence; several lines become one. */
static void put_sentence(struct buffer *b, const char *s)
{
	_cleanup_free_ char *line = xstrdup(s);
	size_t size = strlen(line);

	while (size && strchr("\n .", line[size - 1]))
		size--;
	for (size_t i = 0; i < size; i++)
		if (line[i] == '\n')
			line[i] = ' ';
	put_harmless(b, line, size);
}

static void put_name(const struct terminal *t, struct buffer *b, const char *name)
{
	buffer_printf(b, "%s%s%s", BOLD(t), name ? name : "devserve", PLAIN(t));
}

static void put_clock(const struct terminal *t, struct buffer *b)
{
	time_t now = (time_t)(clock_wall_ns() / NS_PER_S);
	struct tm local;
	char text[16];

	localtime_r(&now, &local);
	strftime(text, sizeof(text), "%H:%M:%S", &local);
	buffer_printf(b, "%s%s%s ", DIM(t), text, PLAIN(t));
}

static void put_ms(struct buffer *b, uint64_t ns)
{
	buffer_printf(b, "%.*f", ns < NS_PER_MS ? 1 : 0, (double)ns / NS_PER_MS);
}

static void put_duration(struct buffer *b, uint64_t ns)
{
	if (ns < 10 * NS_PER_S) {
		put_ms(b, ns);
		buffer_puts(b, " ms");
	} else {
		buffer_printf(b, "%.1f s", (double)ns / NS_PER_S);
	}
}

/* " (settle 10, gcc 78, trial 4, swap 0.2)" */
static void put_stages(const struct terminal *t, struct buffer *b, const struct event *e)
{
	const char *between = "";

	if (!e->n_stages && !e->cached)
		return;
	buffer_printf(b, " %s(", DIM(t));
	for (size_t i = 0; i < e->n_stages; i++) {
		buffer_printf(b, "%s%s ", between, e->stages[i].name);
		put_ms(b, e->stages[i].ns);
		between = ", ";
	}
	if (e->cached)
		buffer_printf(b, "%sno compile", between);
	buffer_printf(b, ")%s", PLAIN(t));
}

/* Events */

static void put_server_listening(struct terminal *t, struct buffer *b, const struct event *e)
{
	buffer_printf(b, "%sdevserve%s " DEVSERVE_VERSION "  %s  %s\n", BOLD(t), PLAIN(t), e->url, e->path);
}

static void put_server_ready(struct terminal *t, struct buffer *b, const struct event *e)
{
	buffer_printf(b, "%sready%s", BOLD(t), PLAIN(t));
	if (e->took_ns) {
		buffer_puts(b, " in ");
		put_duration(b, e->took_ns);
	}
	buffer_printf(b, "  %s\n", e->url ? e->url : "");
}

static void put_save(struct terminal *t, struct buffer *b, const struct event *e)
{
	if (!e->outcome || strcmp(e->outcome, "swapped") != 0)
		return;
	put_clock(t, b);
	put_name(t, b, e->deployment);
	buffer_printf(b, "  %sgen ", GREEN(t));
	if (e->from && e->from != e->generation)
		buffer_printf(b, "%" PRIu32 "→", e->from);
	buffer_printf(b, "%" PRIu32 "%s  %s ", e->generation, PLAIN(t),
		      e->from ? "saved→serving" : "serving after");
	put_duration(b, e->took_ns);
	put_stages(t, b, e);
	buffer_putc(b, '\n');
}

static void put_serving(struct buffer *b, const struct event *e)
{
	uint32_t generation = e->from ? e->from : e->generation;

	if (generation)
		buffer_printf(b, "; generation %" PRIu32 " still serves\n", generation);
	else
		buffer_puts(b, "; nothing serves yet\n");
}

static size_t count_errors(const struct event *e)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n_diagnostics; i++)
		n += e->diagnostics[i].severity && strstr(e->diagnostics[i].severity, "error");
	return n;
}

static void put_compiler_text(struct buffer *b, const char *text)
{
	if (!text || !*text)
		return;
	buffer_puts(b, text);
	if (b->data[b->size - 1] != '\n')
		buffer_putc(b, '\n');
}

static void put_build_failed(struct terminal *t, struct buffer *b, const struct event *e)
{
	size_t n = count_errors(e);

	put_compiler_text(b, e->text);
	put_name(t, b, e->deployment);
	buffer_printf(b, ": %sbuild failed%s", RED(t), PLAIN(t));
	if (n) {
		buffer_printf(b, ", %zu error%s", n, n == 1 ? "" : "s");
	} else if (e->reason) {
		buffer_puts(b, ": ");
		put_sentence(b, e->reason);
	}
	put_serving(b, e);
}

static void put_failure(struct terminal *t, struct buffer *b, const struct event *e,
			const char *what)
{
	put_name(t, b, e->deployment);
	buffer_printf(b, ": %s%s%s", RED(t), what, PLAIN(t));
	if (e->reason) {
		buffer_puts(b, ": ");
		put_sentence(b, e->reason);
	}
	put_serving(b, e);
}

static void put_worker_died(struct terminal *t, struct buffer *b, const struct event *e)
{
	put_name(t, b, e->deployment);
	buffer_printf(b, ": %sworker %d died%s", RED(t), e->pid, PLAIN(t));
	if (e->generation)
		buffer_printf(b, " in generation %" PRIu32, e->generation);
	if (e->reason) {
		buffer_puts(b, ": ");
		put_sentence(b, e->reason);
	}
	buffer_putc(b, '\n');
}

static void put_place(struct buffer *b, const struct event_frame *f)
{
	if (!f->file[0])
		return;
	put_harmless(b, f->file, strlen(f->file));
	buffer_printf(b, ":%u", f->line);
}

/* The first frame whose source the author can read. */
static const struct event_frame *frame_to_show(const struct event *e)
{
	for (size_t i = 0; i < e->n_frames; i++)
		if (e->frames[i].text[0])
			return &e->frames[i];
	return NULL;
}

static void put_crash_report(struct terminal *t, struct buffer *b, const struct event *e)
{
	const struct event_frame *f = frame_to_show(e);

	put_name(t, b, e->deployment);
	buffer_printf(b, ": %scrashed%s", RED(t), PLAIN(t));
	if (e->generation)
		buffer_printf(b, " in generation %" PRIu32, e->generation);
	buffer_puts(b, ": it ");
	put_sentence(b, e->what ? e->what : e->reason ? e->reason : "");
	buffer_putc(b, '\n');
	if (f) {
		buffer_printf(b, "    %s", BOLD(t));
		put_place(b, f);
		buffer_printf(b, "%s\n %6u │ ", PLAIN(t), f->line);
		put_harmless(b, f->text, strlen(f->text));
		buffer_putc(b, '\n');
	}
	if (e->call) {
		buffer_puts(b, "    called with ");
		put_sentence(b, e->call);
		buffer_putc(b, '\n');
	}
	for (size_t i = 0; i < e->n_frames; i++) {
		buffer_printf(b, "    %s#%zu ", DIM(t), i);
		put_harmless(b, e->frames[i].function, strlen(e->frames[i].function));
		buffer_puts(b, "  ");
		put_place(b, &e->frames[i]);
		buffer_printf(b, "%s\n", PLAIN(t));
	}
}

static void put_worker_replaced(struct terminal *t, struct buffer *b, const struct event *e)
{
	put_name(t, b, e->deployment);
	buffer_printf(b, ": worker %d took over", e->pid);
	if (e->took_ns) {
		buffer_puts(b, " after ");
		put_duration(b, e->took_ns);
	}
	if (e->generation)
		buffer_printf(b, ", generation %" PRIu32, e->generation);
	buffer_putc(b, '\n');
}

static void put_fell_back(struct terminal *t, struct buffer *b, const struct event *e)
{
	put_name(t, b, e->deployment);
	buffer_printf(b, ": %sgeneration %" PRIu32 " crashed%s (", RED(t), e->from, PLAIN(t));
	put_sentence(b, e->reason ? e->reason : "");
	buffer_printf(b, "), generation %" PRIu32 " serves again; %" PRIu32 " isn't loaded until its source "
		      "changes\n", e->generation, e->from);
}

static void put_notice(struct terminal *t, struct buffer *b, const struct event *e)
{
	put_name(t, b, e->deployment);
	buffer_printf(b, ": %s", YELLOW(t));
	put_sentence(b, e->reason ? e->reason : "");
	buffer_printf(b, "%s\n", PLAIN(t));
}

static void put_log(struct terminal *t, struct buffer *b, const struct event *e)
{
	bool serious = e->level && (strcmp(e->level, "error") == 0 || strcmp(e->level, "warning") == 0);
	const char *line = e->text ? e->text : "";

	while (*line) {
		size_t size = strcspn(line, "\n");

		buffer_printf(b, "%s%s │ %s", DIM(t), e->deployment ? e->deployment : "devserve",
			      serious ? PLAIN(t) : "");
		put_harmless(b, line, size);
		buffer_printf(b, "%s\n", PLAIN(t));
		line += size + (line[size] == '\n');
	}
}

static void put_event(struct terminal *t, struct buffer *b, const struct event *e)
{
	switch (e->kind) {
	case EVENT_SERVER_LISTENING:
		put_server_listening(t, b, e);
		break;
	case EVENT_SERVER_READY:
		put_server_ready(t, b, e);
		break;
	case EVENT_SERVER_STOPPED:
		buffer_puts(b, "stopped\n");
		break;
	case EVENT_DEPLOYMENT_REMOVED:
		put_name(t, b, e->deployment);
		buffer_puts(b, ": removed\n");
		break;
	case EVENT_BUILD_FAILED:
		put_build_failed(t, b, e);
		break;
	case EVENT_BUILD_WARNED:
		put_compiler_text(b, e->text);
		break;
	case EVENT_TRIAL_FAILED:
		put_failure(t, b, e, "trial failed");
		break;
	case EVENT_SWAP_REFUSED:
		put_failure(t, b, e, "swap refused");
		break;
	case EVENT_SAVE_DONE:
		put_save(t, b, e);
		break;
	case EVENT_WORKER_DIED:
		put_worker_died(t, b, e);
		break;
	case EVENT_CRASH_REPORT:
		put_crash_report(t, b, e);
		break;
	case EVENT_WORKER_REPLACED:
		put_worker_replaced(t, b, e);
		break;
	case EVENT_DEPLOYMENT_FELL_BACK:
		put_fell_back(t, b, e);
		break;
	case EVENT_WATCH_OVERFLOW:
		buffer_puts(b, "more changed at once than the kernel tells of; looked at everything\n");
		break;
	case EVENT_NOTICE:
		put_notice(t, b, e);
		break;
	case EVENT_LOG:
		put_log(t, b, e);
		break;
	case EVENT_DEPLOYMENT_ADDED:
	case EVENT_BUILD_STARTED:
	case EVENT_SWAP_DONE:
		break;
	}
}

static void on_event(void *context, const struct event *e, const char *json, size_t size)
{
	struct terminal *t = context;
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	uint64_t dropped = output_take_dropped(t->output);

	(void)json, (void)size;
	if (dropped)
		buffer_printf(&text, "(%" PRIu64 " messages were not printed)\n", dropped);
	put_event(t, &text, e);
	if (text.size)
		output_write(t->output, text.data, text.size);
}

struct terminal *terminal_new(struct events *events, const struct options *o)
{
	struct terminal *t = xcalloc(1, sizeof(*t));

	t->events = events;
	t->color = terminal_has_color(STDOUT_FILENO, o->no_color);
	t->output = output_new(STDOUT_FILENO);
	events_add_sink(events, on_event, t);
	return t;
}

struct terminal *terminal_free(struct terminal *t)
{
	if (!t)
		return NULL;
	events_remove_sink(t->events, on_event, t);
	output_free(t->output);
	free(t);
	return NULL;
}
