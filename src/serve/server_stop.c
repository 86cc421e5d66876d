/* SPDX-License-Identifier: MIT */

/*
 * The first signal stops the watch, lets requests that are under way finish, then asks the workers
 * to end; the second one, or DRAIN_MS without it, ends all that at once. The
 * loop ends when the last handle is closed.
 */

#include "serve/server.h"
#include "serve/tap_sink.h"

#include <signal.h>
#include <stdlib.h>

#include "base/memory.h"
#include "build/build.h"
#include "deploy/deploy.h"
#include "ingress/ingress.h"
#include "serve/console.h"
#include "serve/control.h"
#include "serve/event.h"
#include "serve/report.h"
#include "serve/terminal.h"
#include "watch/watch.h"

#define DRAIN_MS 30000
#define UNWANTED_MS 2000 /* for calls whose clients have all gone */

static void on_drain_over(uv_timer_t *timer);

/* Every client has its answer, or has gone: who still computes does so for nobody. */
static void stop_workers(void *context)
{
	struct server *s = context;

	s->ingress = NULL;
	if (s->hub.n_in_flight && !s->now)
		uv_timer_start(&s->drain, on_drain_over, UNWANTED_MS, 0);
	deploy_close(s->deploy, s->now);
}

void server_stop(struct server *s)
{
	s->stopping = true;
	if (s->watch)
		watch_stop(s->watch);
	s->watch = NULL;
	if (s->control)
		control_stop(s->control);
	console_stop(s->console);
	plugins_free(&s->plugins);
	if (s->terminal)
		terminal_set_reports(s->terminal, NULL);
	s->news.reports = reports_free(s->news.reports);
	s->builder = builder_free(s->builder);
	if (s->ingress)
		ingress_stop(s->ingress, stop_workers, s);
	else
		stop_workers(s);
}

static void stop_now(struct server *s)
{
	s->now = true;
	if (s->ingress)
		ingress_stop(s->ingress, stop_workers, s);
	deploy_close(s->deploy, true);
}

static void on_drain_over(uv_timer_t *timer)
{
	stop_now(timer->data);
}

static void stop_in_time(struct server *s)
{
	if (s->hub.n_in_flight)
		events_emit(s->events, &(struct event){
			.kind = EVENT_NOTICE,
			.reason = "requests are under way: waiting up to 30 s for them; Ctrl-C again ends at once" });
	uv_timer_start(&s->drain, on_drain_over, DRAIN_MS, 0);
	uv_unref((uv_handle_t *)&s->drain);
	server_stop(s);
}

void server_end(struct server *s, int status)
{
	s->status = status;
	if (!s->stopping)
		stop_in_time(s);
	else
		stop_now(s);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct server *s = handle->data;

	tap_sink_bail(s->tap_sink, "it was interrupted");
	server_end(s, number == SIGINT ? 130 : s->checking ? EXIT_FAILURE : EXIT_SUCCESS);
}

void server_quit(void *context)
{
	server_end(context, EXIT_SUCCESS);
}

void server_heed_signals(struct server *s)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

	signal(SIGPIPE, SIG_IGN);
	uv_timer_init(&s->loop, &s->drain);
	s->drain.data = s;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		uv_signal_init(&s->loop, &s->signals[i]);
		s->signals[i].data = s;
		uv_signal_start(&s->signals[i], on_signal, numbers[i]);
		uv_unref((uv_handle_t *)&s->signals[i]);
	}
}

void server_ignore_signals(struct server *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(s->signals); i++)
		uv_close((uv_handle_t *)&s->signals[i], NULL);
	uv_close((uv_handle_t *)&s->drain, NULL);
}
