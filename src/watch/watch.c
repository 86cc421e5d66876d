/* SPDX-License-Identifier: MIT */

/*
 * devserve-watch is expected to die: by the OOM killer, by a user who tidies up, by a bug in
 * the library below it. None of that may lose a save, so each start of it ends with
 * WATCH_READY, which everything is compared after. A root that vanishes is waited for in the
 * same way: what comes back under its name may be another tree.
 *
 * The process sends paths relative to the root and has filtered them (watch/filter.h); they
 * are made absolute (intake.c) and handed to settle.c, and nothing below the root is looked up.
 */

#include "watch/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/child.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "watch/intake.h"
#include "watch/protocol.h"
#include "watch/settle.h"

#define FIRST_BACKOFF_MS 100
#define LONGEST_BACKOFF_MS 5000
#define HEALTHY_NS (10 * NS_PER_S) /* it lived that long: the next death is another story */
#define ROOT_POLL_MS 500

struct watch {
	uv_loop_t *loop;
	char *root;
	bool poll;
	struct watch_callbacks cb;

	struct child *child; /* NULL while none runs */
	char *helper;
	struct intake intake;

	uv_timer_t timer; /* starts the next one, or looks for the root */
	unsigned backoff_ms;
	struct settle settle;

	bool stopped;
	int n_handles;
};

static void on_start_timer(uv_timer_t *timer);

static void notice(struct watch *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void notice(struct watch *w, const char *format, ...)
{
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;
	va_list args;

	va_start(args, format);
	buffer_vprintf(&sentence, format, args);
	va_end(args);
	if (!w->stopped)
		w->cb.notice(w->cb.context, buffer_text(&sentence));
}

static void on_batch(void *context, const struct watch_batch *batch)
{
	struct watch *w = context;

	if (!w->stopped)
		w->cb.changed(w->cb.context, batch);
}

static void on_notice(void *context, const char *sentence)
{
	notice(context, "%s", sentence);
}

static void on_text(void *context, int fd, const char *text, size_t size)
{
	struct watch *w = context;

	if (w->stopped || !size)
		return;
	if (fd != 1)
		intake_lines(&w->intake, text, size);
	else if (!intake_records(&w->intake, text, size))
		child_kill(w->child, SIGKILL);
}

static void start_in(struct watch *w, unsigned ms)
{
	uv_update_time(w->loop);
	uv_timer_start(&w->timer, on_start_timer, ms, 0);
}

static unsigned next_backoff(struct watch *w)
{
	unsigned ms = w->backoff_ms;

	w->backoff_ms = ms * 2 < LONGEST_BACKOFF_MS ? ms * 2 : LONGEST_BACKOFF_MS;
	return ms;
}

static void on_end(void *context, const struct child_end *end)
{
	struct watch *w = context;

	w->child = NULL;
	intake_reset(&w->intake);
	if (end->ended_ns - end->started_ns > HEALTHY_NS)
		w->backoff_ms = FIRST_BACKOFF_MS;
	if (!end->signal && end->code == WATCH_EXIT_NO_ROOT) {
		notice(w, "%s is gone: deleted, moved or unmounted. Waiting for it to come back.",
		       w->root);
		settle_everything(&w->settle, false);
		start_in(w, ROOT_POLL_MS);
		return;
	}
	if (end->signal)
		notice(w,
		       "devserve-watch was ended by signal %d (%s). Starting it again; then "
		       "everything is compared.",
		       end->signal, strsignal(end->signal));
	else
		notice(w,
		       "devserve-watch ended with status %d. Starting it again; then everything is "
		       "compared.",
		       end->code);
	if (!w->stopped)
		start_in(w, next_backoff(w));
}

static int start_child(struct watch *w)
{
	const char *argv[] = { w->helper, w->root, w->poll ? "--poll" : NULL, NULL };
	struct child_options o = {
		.argv = argv,
		.fds = { -1, -1, -1, -1, -1, -1, -1, -1 },
		.on_text = on_text,
		.on_end = on_end,
		.context = w,
	};

	return child_start(w->loop, &o, &w->child);
}

static void on_start_timer(uv_timer_t *timer)
{
	struct watch *w = container_of(timer, struct watch, timer);
	int r;

	if (!file_is_directory(w->root)) {
		start_in(w, ROOT_POLL_MS);
		return;
	}
	r = start_child(w);
	if (r < 0) {
		notice(w, "%s can't be started: %s. Trying again; until then no save is seen.",
		       w->helper, strerror(-r));
		start_in(w, next_backoff(w));
	}
}

static void watch_free(struct watch *w)
{
	settle_fini(&w->settle);
	intake_fini(&w->intake);
	free(w->helper);
	free(w->root);
	free(w);
}

int watch_start(uv_loop_t *loop, const struct watch_options *o, const struct watch_callbacks *cb,
		struct watch **ret)
{
	struct watch *w = xcalloc(1, sizeof(*w));
	int r;

	w->loop = loop;
	w->root = xstrdup(o->root);
	w->poll = o->poll;
	w->cb = *cb;
	w->intake = (struct intake){ .root = w->root, .settle = &w->settle, .notice = on_notice,
				     .context = w };
	w->helper = path_of_helper("devserve-watch");
	w->backoff_ms = FIRST_BACKOFF_MS;
	r = start_child(w);
	if (r < 0) {
		watch_free(w);
		return r;
	}
	settle_init(&w->settle, loop, o->settle_ms, on_batch, w);
	uv_timer_init(loop, &w->timer);
	w->timer.data = w->settle.timer.data = w;
	w->n_handles = 2;
	*ret = w;
	return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct watch *w = handle->data;

	if (--w->n_handles == 0)
		watch_free(w);
}

void watch_stop(struct watch *w)
{
	w->stopped = w->intake.ended = true;
	w->child = child_abandon(w->child);
	uv_close((uv_handle_t *)&w->timer, on_handle_closed);
	uv_close((uv_handle_t *)&w->settle.timer, on_handle_closed);
}
