/* SPDX-License-Identifier: MIT */

/*
 * Each module is made of options, and told whom to call; what it tells then is here beside it.
 * Order: state directory, builder, deploy, then the port, and last the watch, whose first batch
 * asks for another look, so that nothing that was written meanwhile is missed.
 */

#include "serve/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/descriptors.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/build.h"
#include "config/config.h"
#include "deploy/deploy.h"
#include "history/history.h"
#include "ingress/ingress.h"
#include "serve/cases.h"
#include "serve/console.h"
#include "serve/control.h"
#include "serve/core.h"
#include "serve/event.h"
#include "serve/historian.h"
#include "serve/log.h"
#include "serve/options.h"
#include "serve/plugin_root.h"
#include "serve/stamp.h"
#include "serve/style.h"
#include "watch/watch.h"
#include "weights/weights.h"

#define OWN_DESCRIPTORS 1024

static int open_root(struct server *s, struct buffer *why)
{
	s->root = realpath(s->o->root ? s->o->root : OPTIONS_DEFAULT_ROOT, NULL);
	if (!s->root) {
		buffer_printf(why, "cannot open %s: %s", s->o->root, strerror(errno));
		return -errno;
	}
	return state_dir_open(&s->dir, state_directory(s->root, s->o->state_dir), why);
}

static bool is_quiet(void *context)
{
	const struct server *s = context;

	return !s->deploy || !deploy_is_judging(s->deploy);
}

static int make_builder(struct server *s, struct buffer *why)
{
	_cleanup_free_ char *headers = path_of_headers();
	const struct builder_options o = {
		.state_dir = s->dir.path,
		.include_dir = headers,
		.root = s->root,
		.jobs = s->o->jobs,
		.color = !s->o->json && style_has_color(STDOUT_FILENO, s->o->no_color),
		.is_quiet = is_quiet,
		.context = s,
	};

	return builder_new(&s->loop, &o, why, &s->builder);
}

static int make_deploy(struct server *s, struct buffer *why)
{
	_cleanup_free_ char *worker = path_of_helper("devserve-worker");
	const struct deploy_options o = {
		.worker = worker,
		.state_dir = s->dir.path,
		.generations_dir = s->dir.generations,
		.max_worker_memory = s->o->max_worker_memory,
		.create_timeout_ms = s->o->create_timeout_s * 1000,
		.proof_ms = s->o->proof_ms,
		.max_memory = s->o->max_memory,
		.max_recordings = s->o->max_recordings,
		.max_queue = s->o->queue,
	};
	struct deploy_callbacks cb = news_callbacks(&s->news);
	int r;

	if (!s->checking)
		cb.golden_case = NULL; /* the first at fault is enough */
	core_allow(s->o->core);
	r = deploy_new(&s->hub, &o, &cb, &s->deploy);
	if (r < 0)
		buffer_printf(why, "cannot prepare %s: %s", s->dir.generations, strerror(-r));
	else
		deploy_hold_spares(s->deploy, true); /* until all serve */
	return r;
}

/* A check's are its own: the server that may run beside it tidies up among its. */
static void make_weights(struct server *s)
{
	const char *base = s->checking ? s->dir.generations : s->dir.path;
	_cleanup_free_ char *directory = path_join(base, "weights");

	s->weights = weights_new(&s->loop, base, directory);
}

/* One of options.def's, which are those of deployment.yaml. */
static enum deployment_gate gate_of(const char *name)
{
	unsigned i = 0;

	while (config_gates[i] && strcmp(config_gates[i], name) != 0)
		i++;
	return (enum deployment_gate)i;
}

static void on_settled(void *context, struct plugin *p)
{
	struct server *s = context;

	if (s->control)
		control_settled(s->control, p);
	if (!s->stopping && p->deployment)
		server_do_chores_soon(s);
	server_tell_if_ready(s);
}

int server_start(struct server *s, struct buffer *why)
{
	_cleanup_buffer_ struct buffer notice = BUFFER_NULL;
	int r = open_root(s, why);

	if (r == 0)
		s->news.log = log_new(&s->loop, s->events, s->checking ? NULL : s->dir.path);
	if (r == 0 && !s->checking && stamp_check(s->dir.path, &notice) == 1)
		events_emit(s->events, &(struct event){ .kind = EVENT_NOTICE, .reason = notice.data });
	if (r == 0)
		r = make_builder(s, why);
	if (r == 0)
		r = make_deploy(s, why);
	if (r < 0)
		return r;
	make_weights(s);
	s->cases = cases_new(&s->loop, s->dir.path);
	deploy_set_last_recording(s->deploy, cases_last(s->cases));
	s->plugins = (struct plugins){
		.loop = &s->loop,
		.builder = s->builder,
		.deploy = s->deploy,
		.weights = s->weights,
		.cases = s->cases,
		.events = s->events,
		.root = s->root,
		.state_dir = s->dir.path,
		.gate = gate_of(s->o->gate),
		.testing = s->testing,
		.only = s->names,
		.n_only = s->n_names,
		.keep_records = !s->checking,
		.verdicts = !s->o->no_verdict,
		.settled = on_settled,
		.context = s,
	};
	return 0;
}

/* The port */

/* Two servers on one root would take each other's control file away. */
static int refuse_second_server(const struct server *s, struct buffer *why)
{
	char url[256];
	pid_t pid = run_file_owner(s->dir.path, url);

	if (!pid)
		return 0;
	buffer_printf(why, "PID %d serves %s already, at %s; end it, or give this one a place of its own with "
		      "--state-dir", (int)pid, s->root, url);
	return -EEXIST;
}

/*
 * Connections that there are descriptors for. A thousand are left to the rest: workers,
 * compilers, files; or half, where there are few.
 */
static unsigned count_connections(struct server *s)
{
	unsigned wanted = s->o->max_connections, limit = descriptors_raise(wanted + INGRESS_MAX_GUESTS + OWN_DESCRIPTORS);
	_cleanup_free_ char *advice = NULL;
	unsigned n = limit / 2 < OWN_DESCRIPTORS ? limit / 2 : limit - OWN_DESCRIPTORS;

	n = n > 2 * INGRESS_MAX_GUESTS ? n - INGRESS_MAX_GUESTS : n / 2;
	if (n >= wanted)
		return wanted;
	advice = xasprintf("there are descriptors for %u connections only, not for --max-connections %u; "
			   "raise the hard limit where the server is started (ulimit -Hn)", n, wanted);
	server_notice(s, advice);
	return n;
}

static void on_changed(void *context, const struct watch_batch *batch)
{
	struct server *s = context;

	if (batch->overflow)
		events_emit(s->events, &(struct event){ .kind = EVENT_WATCH_OVERFLOW,
							.count = ++s->n_overflows });
	if (batch->everything)
		plugins_scan(&s->plugins, batch->first_ns);
	else
		plugins_changed(&s->plugins, batch->paths, batch->n_paths, batch->first_ns);
	server_tell_if_ready(s);
}

static bool is_ready(void *context)
{
	const struct server *s = context;

	return s->ready_told;
}

int server_listen(struct server *s, struct buffer *why)
{
	struct ingress_options in = {
		.host = s->o->host,
		.port = s->o->port,
		.max_body = s->o->max_body,
		.max_connections = count_connections(s),
		.compression = s->o->compression,
		.patience = { .head_ms = s->o->head_timeout_s * 1000,
			      .body_ms = s->o->body_timeout_s * 1000,
			      .send_ms = s->o->send_timeout_s * 1000,
			      .idle_ms = s->o->idle_timeout_s * 1000,
			      .min_rate = s->o->min_rate },
		.token = s->token,
		.allow_host = s->o->allow_host,
		.allow_origin = s->o->allow_origin,
		.version = DEVSERVE_VERSION,
		.ready = is_ready,
		.context = s,
	};
	const struct watch_options w = { .root = s->root, .settle_ms = s->o->settle_ms, .poll = s->o->poll };
	const struct watch_callbacks cb = { .changed = on_changed, .notice = server_notice, .context = s };
	int r = refuse_second_server(s, why);

	if (r == 0)
		r = token_make(s->token);
	s->control = control_new(&(struct control_options){ .plugins = &s->plugins,
							    .events = s->events,
							    .version = DEVSERVE_VERSION,
							    .started_ns = s->started_ns });
	in.routes = control_routes(s->control);
	if (r == 0)
		r = ingress_start(&s->loop, s->deploy, &in, why, &s->ingress);
	if (r < 0)
		return r;
	control_set_url(s->control, ingress_url(s->ingress));
	r = run_file_write(s->dir.path, ingress_url(s->ingress), s->token, DEVSERVE_VERSION);
	if (r < 0)
		buffer_printf(why, "cannot write %s/run.json: %s", s->dir.path, strerror(-r));
	if (r == 0)
		r = watch_start(&s->loop, &w, &cb, &s->watch);
	if (r < 0 && !why->size)
		buffer_printf(why, "cannot start devserve-watch: %s", strerror(-r));
	return r;
}

void server_open_console(struct server *s)
{
	s->console = console_new(&s->loop, &(struct console_options){ .plugins = &s->plugins,
								      .terminal = s->terminal,
								      .url = ingress_url(s->ingress),
								      .quit = server_quit,
								      .context = s });
}

void server_keep_history(struct server *s)
{
	s->history = history_new(&s->loop, &(struct history_options){ .state_dir = s->dir.path,
								      .version = DEVSERVE_VERSION,
								      .notice = server_notice,
								      .context = s });
	s->historian = historian_new(s->events, s->history);
	s->plugins.history = s->history;
}
