/* SPDX-License-Identifier: MIT */

/*
 * Order of things. Start: the modules and the port (server_wiring.c), plugins as they lie there.
 * End: server_stop.c. The loop ends when the last handle is closed, and only then memory is given
 * back.
 */

#include "serve/serve.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "build/build.h"
#include "deploy/deploy.h"
#include "deploy/handle.h"
#include "history/history.h"
#include "ingress/ingress.h"
#include "serve/cases.h"
#include "serve/console.h"
#include "serve/control.h"
#include "serve/core.h"
#include "serve/event.h"
#include "serve/historian.h"
#include "serve/json_sink.h"
#include "serve/log.h"
#include "serve/options.h"
#include "serve/plugin_root.h"
#include "serve/report.h"
#include "serve/server.h"
#include "serve/tap_sink.h"
#include "serve/terminal.h"
#include "weights/weights.h"

static int complain(const struct buffer *why)
{
	fprintf(stderr, "devserve: %s\n", buffer_text(why));
	return EXIT_FAILURE;
}

void server_notice(void *context, const char *sentence)
{
	struct server *s = context;

	events_emit(s->events, &(struct event){ .kind = EVENT_NOTICE, .reason = sentence });
}

/* Readiness */

static int conclude_check(struct server *s)
{
	_cleanup_free_ char *sentence = NULL;
	const struct plugin *p;
	unsigned n = 0, good = 0, skipped = 0;

	LIST_FOREACH(p, &s->plugins.list, entry) {
		n++;
		good += p->deployment && p->outcome && strcmp(p->outcome, "swapped") == 0;
		skipped += p->deployment && deployment_handle(p->deployment)->no_device;
	}
	sentence = skipped ? xasprintf("%u of %u can serve, %u skipped: built, but not tried without a GPU%s", good, n, skipped,
				       s->o->strict ? ", which fails with --strict" : "") :
			     xasprintf("%u of %u can serve", good, n);
	if (n)
		server_notice(s, sentence);
	return good + (s->o->strict ? 0 : skipped) == n ? EXIT_SUCCESS : EXIT_BUILD_FAILED;
}

static void tell_ready(struct server *s)
{
	struct event e = { .kind = EVENT_SERVER_READY, .url = ingress_url(s->ingress),
			   .took_ns = clock_ns() - s->started_ns };

	plugins_count(&s->plugins, &e.n_deployments, &e.n_serving);
	events_emit(s->events, &e);
	console_greet(s->console);
}

static void tell_if_empty(struct server *s)
{
	_cleanup_free_ char *advice = xasprintf("there is no plugin yet; 'devserve new NAME --root %s' makes one",
						s->o->root ? s->o->root : OPTIONS_DEFAULT_ROOT);

	if (LIST_EMPTY(&s->plugins.list))
		server_notice(s, advice);
}

void server_tell_if_ready(struct server *s)
{
	if (s->ready_told || s->stopping || !plugins_ready(&s->plugins))
		return;
	if (s->checking && reports_busy(s->news.reports))
		return; /* what it tells belongs to the answer */
	s->ready_told = true;
	deploy_hold_spares(s->deploy, s->checking); /* a check takes no calls that could crash */
	if (s->checking) {
		tell_if_empty(s);
		s->status = conclude_check(s);
		server_stop(s);
		return;
	}
	tell_ready(s);
	tell_if_empty(s);
}

/* Life */

static bool flush(void *context)
{
	struct server *s = context;

	return deploy_flush(s->deploy);
}

/*
 * The pool's threads write logs and the history now and then. With a heap for each, which is the default,
 * all of them would come to hold what one needs. They share one beside the loop's.
 */
static void share_heaps(void)
{
	mallopt(M_ARENA_MAX, 2);
}

static void open_loop(struct server *s)
{
	share_heaps();
	uv_loop_init(&s->loop);
	hub_init(&s->hub, &s->loop, flush, s);
	server_heed_signals(s);
	server_init_chores(s);
}

static void on_reported(void *context)
{
	server_tell_if_ready(context);
}

static void open_sinks(struct server *s)
{
	s->events = events_new();
	s->news = (struct news){ .events = s->events, .plugins = &s->plugins };
	if (s->o->json)
		s->json_sink = json_sink_new(s->events);
	else if (s->testing)
		s->tap_sink = tap_sink_new(s->events, s->o->strict);
	else
		s->terminal = terminal_new(s->events, s->o);
	s->news.reports = reports_new(&s->loop, s->events, on_reported, s);
	if (s->terminal)
		terminal_set_reports(s->terminal, s->news.reports);
	if (s->terminal && s->checking)
		terminal_set_checking(s->terminal);
}

static void tell_listening(struct server *s)
{
	_cleanup_free_ char *advice = xasprintf(
		"clients need the token in %s/run.json (Authorization: Bearer …); there is no TLS: beyond a "
		"network that you trust, put a proxy in front", s->dir.path);
	_cleanup_free_ char *core = core_place();

	events_emit(s->events, &(struct event){ .kind = EVENT_SERVER_LISTENING,
						.url = ingress_url(s->ingress),
						.path = s->root });
	if (!ingress_is_loopback(s->ingress))
		server_notice(s, advice);
	if (s->o->core)
		server_notice(s, core);
}

static void dispose(struct server *s)
{
	server_ignore_signals(s);
	uv_close((uv_handle_t *)&s->chores, NULL);
	s->console = console_free(s->console);
	s->news.log = log_free(s->news.log);
	s->historian = historian_free(s->historian);
	s->history = history_free(s->history);
	hub_close(&s->hub);
	uv_run(&s->loop, UV_RUN_DEFAULT); /* handles that were not counted close now */
	uv_loop_close(&s->loop);
	s->control = control_free(s->control);
	s->deploy = deploy_free(s->deploy);
	s->weights = weights_free(s->weights);
	s->cases = cases_free(s->cases);
	state_dir_remove_run_file(&s->dir, s->token);
	s->news.reports = reports_free(s->news.reports);
	s->terminal = terminal_free(s->terminal);
	s->json_sink = json_sink_free(s->json_sink);
	s->tap_sink = tap_sink_free(s->tap_sink);
	s->events = events_free(s->events);
	state_dir_close(&s->dir);
	free(s->root);
}

/* It didn't come to serve. */
static void leave_nothing(struct server *s)
{
	s->builder = builder_free(s->builder);
	state_dir_remove_run_file(&s->dir, s->token);
	state_dir_take_back(&s->dir);
}

/* A name that is misspelt must not be a test that passes. */
static void find_all(struct server *s)
{
	for (size_t i = 0; i < s->plugins.n_only; i++) {
		const char *name = s->plugins.only[i];

		if (plugins_find(&s->plugins, name) || s->stopping)
			continue;
		_cleanup_free_ char *sentence = xasprintf("there is no deployment '%s' in %s", name, s->root);

		fprintf(stderr, "devserve: %s\n", sentence);
		tap_sink_bail(s->tap_sink, sentence);
		server_end(s, EXIT_FAILURE);
	}
}

static int run(struct server *s)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	int r;

	s->started_ns = clock_ns();
	open_loop(s);
	open_sinks(s);
	r = server_start(s, &why);
	if (r == 0 && !s->checking)
		r = server_listen(s, &why);
	if (r < 0) {
		s->status = complain(&why);
		leave_nothing(s);
		return s->status; /* nothing runs yet that would not end with us */
	}
	if (!s->checking)
		server_keep_history(s);
	if (!s->checking)
		tell_listening(s);
	if (builder_complaint(s->builder))
		server_notice(s, builder_complaint(s->builder));
	if (!s->checking && s->terminal)
		server_open_console(s);
	plugins_scan(&s->plugins, s->started_ns);
	find_all(s);
	server_tell_if_ready(s);
	hub_run(&s->hub);
	if (!s->checking)
		events_emit(s->events, &(struct event){ .kind = EVENT_SERVER_STOPPED });
	dispose(s);
	return s->status;
}

int serve_run(const struct options *o)
{
	static struct server s;

	s.o = o;
	return run(&s);
}

int serve_test(const struct options *o, const char *const *names, size_t n)
{
	static struct server s;

	s.o = o;
	s.checking = s.testing = true;
	s.names = names;
	s.n_names = n;
	return run(&s);
}

int serve_check(const struct options *o)
{
	static struct server s;

	s.o = o;
	s.checking = true;
	return run(&s);
}
