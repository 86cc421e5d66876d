/* SPDX-License-Identifier: MIT */

/*
 * Order of things. Start: state directory, builder, deploy, port, plugins as they lie there,
 * watch (whose first batch asks for another look, so that nothing that was written meanwhile
 * is missed). End: the first signal stops the watch, lets requests that are under way finish,
 * then asks the workers to end; the second one ends all that at once. The loop ends when the
 * last handle is closed, and only then memory is given back.
 */

#include "serve/serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/descriptors.h"
#include "base/file.h"
#include "base/memory.h"
#include "build/build.h"
#include "config/config.h"
#include "deploy/deploy.h"
#include "history/history.h"
#include "ingress/ingress.h"
#include "replica/hub.h"
#include "serve/cases.h"
#include "serve/console.h"
#include "serve/control.h"
#include "serve/core.h"
#include "serve/event.h"
#include "serve/historian.h"
#include "serve/json_sink.h"
#include "serve/log.h"
#include "serve/news.h"
#include "serve/options.h"
#include "serve/plugin.h"
#include "serve/report.h"
#include "serve/run_file.h"
#include "serve/stamp.h"
#include "serve/state_dir.h"
#include "serve/style.h"
#include "serve/tap_sink.h"
#include "serve/terminal.h"
#include "watch/watch.h"
#include "weights/weights.h"

#define OWN_DESCRIPTORS 1024
#define DRAIN_MS 30000
#define UNWANTED_MS 2000 /* for calls whose clients have all gone */
#define TIDY_MS 20

struct serve {
	const struct options *o;
	uint64_t started_ns;
	uv_loop_t loop;
	struct hub hub;
	struct events *events;
	struct terminal *terminal;
	struct json_sink *json_sink;
	struct builder *builder;
	struct deploy *deploy;
	struct weights *weights;
	struct cases *cases;
	struct console *console;
	struct history *history;     /* NULL: nothing is kept */
	struct historian *historian;
	struct control *control;
	struct news news; /* its log and reports are ours: NULL once the server ends */
	struct ingress *ingress;
	struct watch *watch;
	struct plugins plugins;
	uv_signal_t signals[3]; /* SIGINT, SIGTERM, SIGHUP */
	uv_timer_t drain;       /* the end is bounded */
	uv_timer_t tidy;        /* after saves */
	char token[TOKEN_SIZE];
	char *root;
	struct state_dir dir;
	uint64_t n_overflows;
	struct tap_sink *tap_sink;
	const char *const *names; /* of deployments to test */
	size_t n_names;
	bool testing;           /* `devserve test` */
	bool checking;          /* that and `devserve check`: ends by itself */
	bool ready_told, stopping, now;
	int status;
};

static int complain(const struct buffer *why)
{
	fprintf(stderr, "devserve: %s\n", buffer_text(why));
	return EXIT_FAILURE;
}

/* Ending */

static void on_drain_over(uv_timer_t *timer);

/* Every client has its answer, or has gone: who still computes does so for nobody. */
static void stop_workers(void *context)
{
	struct serve *s = context;

	s->ingress = NULL;
	if (s->hub.n_in_flight && !s->now)
		uv_timer_start(&s->drain, on_drain_over, UNWANTED_MS, 0);
	deploy_close(s->deploy, s->now);
}

static void stop(struct serve *s)
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

static void stop_now(struct serve *s)
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

static void stop_in_time(struct serve *s)
{
	if (s->hub.n_in_flight)
		events_emit(s->events, &(struct event){
			.kind = EVENT_NOTICE,
			.reason = "requests are under way: waiting up to 30 s for them; Ctrl-C again ends at once" });
	uv_timer_start(&s->drain, on_drain_over, DRAIN_MS, 0);
	uv_unref((uv_handle_t *)&s->drain);
	stop(s);
}

static void end(struct serve *s, int status)
{
	s->status = status;
	if (!s->stopping)
		stop_in_time(s);
	else
		stop_now(s);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct serve *s = handle->data;

	end(s, number == SIGINT ? 130 : s->checking ? EXIT_FAILURE : EXIT_SUCCESS);
}

static void on_quit(void *context)
{
	end(context, EXIT_SUCCESS);
}

/* Readiness */

static void on_notice(void *context, const char *sentence);

static int conclude_check(struct serve *s)
{
	_cleanup_free_ char *sentence = NULL;
	const struct plugin *p;
	unsigned n = 0, good = 0;

	LIST_FOREACH(p, &s->plugins.list, entry) {
		n++;
		good += p->deployment && p->outcome && strcmp(p->outcome, "swapped") == 0;
	}
	sentence = xasprintf("%u of %u can serve", good, n);
	if (n)
		on_notice(s, sentence);
	return good == n ? EXIT_SUCCESS : EXIT_BUILD_FAILED;
}

static void tell_ready(struct serve *s)
{
	struct event e = { .kind = EVENT_SERVER_READY, .url = ingress_url(s->ingress),
			   .took_ns = clock_ns() - s->started_ns };

	plugins_count(&s->plugins, &e.n_deployments, &e.n_serving);
	events_emit(s->events, &e);
	console_greet(s->console);
}

static void tell_if_empty(struct serve *s)
{
	_cleanup_free_ char *advice = xasprintf("there is no plugin yet; 'devserve new NAME --root %s' makes one",
						s->o->root ? s->o->root : OPTIONS_DEFAULT_ROOT);

	if (LIST_EMPTY(&s->plugins.list))
		on_notice(s, advice);
}

static void tell_if_ready(struct serve *s)
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
		stop(s);
		return;
	}
	tell_ready(s);
	tell_if_empty(s);
}

static bool is_ready(void *context)
{
	const struct serve *s = context;

	return s->ready_told;
}

/* What the modules tell */

static void keep_state_dir(struct serve *s);

static void write_compile_commands(struct serve *s)
{
	_cleanup_free_ char *path = path_join(s->root, "compile_commands.json");
	struct recipe *recipes = NULL;
	struct plugin *p;
	size_t n = 0;

	LIST_FOREACH(p, &s->plugins.list, entry) {
		recipes = xrealloc(recipes, (n + 1) * sizeof(*recipes));
		recipes[n++] = p->recipe;
	}
	builder_write_compile_commands(s->builder, recipes, n, path);
	free(recipes);
}

/* What a swap leaves to be written; never while its answers wait. */
static void on_tidy(uv_timer_t *timer)
{
	struct serve *s = timer->data;

	if (s->stopping)
		return;
	plugins_write_records(&s->plugins);
	if (s->checking)
		return;
	write_compile_commands(s);
	weights_tidy(s->weights);
	keep_state_dir(s);
}

static void on_settled(void *context, struct plugin *p)
{
	struct serve *s = context;

	if (s->control)
		control_settled(s->control, p);
	if (!s->stopping && p->deployment && !uv_is_active((uv_handle_t *)&s->tidy))
		uv_timer_start(&s->tidy, on_tidy, TIDY_MS, 0);
	tell_if_ready(s);
}

static void on_changed(void *context, const struct watch_batch *batch)
{
	struct serve *s = context;

	if (batch->overflow)
		events_emit(s->events, &(struct event){ .kind = EVENT_WATCH_OVERFLOW,
							.count = ++s->n_overflows });
	if (batch->everything)
		plugins_scan(&s->plugins, batch->first_ns);
	else
		plugins_changed(&s->plugins, batch->paths, batch->n_paths, batch->first_ns);
	tell_if_ready(s);
}

static void on_notice(void *context, const char *sentence)
{
	struct serve *s = context;

	events_emit(s->events, &(struct event){ .kind = EVENT_NOTICE, .reason = sentence });
}

/* Starting */

static int open_root(struct serve *s, struct buffer *why)
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
	const struct serve *s = context;

	return !s->deploy || !deploy_is_judging(s->deploy);
}

static int make_builder(struct serve *s, struct buffer *why)
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

static int make_deploy(struct serve *s, struct buffer *why)
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

static bool flush(void *context)
{
	struct serve *s = context;

	return deploy_flush(s->deploy);
}

static void open_loop(struct serve *s)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&s->loop);
	hub_init(&s->hub, &s->loop, flush, s);
	uv_timer_init(&s->loop, &s->drain);
	s->drain.data = s;
	uv_timer_init(&s->loop, &s->tidy);
	s->tidy.data = s;
	uv_unref((uv_handle_t *)&s->tidy);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		uv_signal_init(&s->loop, &s->signals[i]);
		s->signals[i].data = s;
		uv_signal_start(&s->signals[i], on_signal, numbers[i]);
		uv_unref((uv_handle_t *)&s->signals[i]);
	}
}

static void on_reported(void *context)
{
	tell_if_ready(context);
}

static void open_sinks(struct serve *s)
{
	s->events = events_new();
	s->news = (struct news){ .events = s->events, .plugins = &s->plugins };
	if (s->o->json)
		s->json_sink = json_sink_new(s->events);
	else if (s->testing)
		s->tap_sink = tap_sink_new(s->events);
	else
		s->terminal = terminal_new(s->events, s->o);
	s->news.reports = reports_new(&s->loop, s->events, on_reported, s);
	if (s->terminal)
		terminal_set_reports(s->terminal, s->news.reports);
	if (s->terminal && s->checking)
		terminal_set_checking(s->terminal);
}

/* A check's are its own: the server that may run beside it tidies up among its. */
static void make_weights(struct serve *s)
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

static int start(struct serve *s, struct buffer *why)
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

/* Two servers on one root would take each other's control file away. */
static int refuse_second_server(const struct serve *s, struct buffer *why)
{
	char url[256];
	pid_t pid = run_file_owner(s->dir.path, url);

	if (!pid)
		return 0;
	buffer_printf(why, "PID %d serves %s already, at %s; end it, or give this one a place of its own with "
		      "--state-dir", (int)pid, s->root, url);
	return -EEXIST;
}

/* Somebody may have cleaned the state directory up: commands find us by run.json. */
static void keep_state_dir(struct serve *s)
{
	_cleanup_free_ char *path = path_join(s->dir.path, "run.json");

	if (!s->ingress || file_make_directories_from(s->dir.path, s->dir.path) < 0)
		return;
	stamp_keep(s->dir.path);
	if (!file_exists(path))
		run_file_write(s->dir.path, ingress_url(s->ingress), s->token, DEVSERVE_VERSION);
}

/*
 * Connections that there are descriptors for. A thousand are left to the rest: workers,
 * compilers, files; or half, where there are few.
 */
static unsigned count_connections(struct serve *s)
{
	unsigned wanted = s->o->max_connections, limit = descriptors_raise(wanted + INGRESS_MAX_GUESTS + OWN_DESCRIPTORS);
	_cleanup_free_ char *advice = NULL;
	unsigned n = limit / 2 < OWN_DESCRIPTORS ? limit / 2 : limit - OWN_DESCRIPTORS;

	n = n > 2 * INGRESS_MAX_GUESTS ? n - INGRESS_MAX_GUESTS : n / 2;
	if (n >= wanted)
		return wanted;
	advice = xasprintf("there are descriptors for %u connections only, not for --max-connections %u; "
			   "raise the hard limit where the server is started (ulimit -Hn)", n, wanted);
	on_notice(s, advice);
	return n;
}

static void tell_listening(struct serve *s)
{
	_cleanup_free_ char *advice = xasprintf(
		"clients need the token in %s/run.json (Authorization: Bearer …); there is no TLS: beyond a "
		"network that you trust, put a proxy in front", s->dir.path);
	_cleanup_free_ char *core = core_place();

	events_emit(s->events, &(struct event){ .kind = EVENT_SERVER_LISTENING,
						.url = ingress_url(s->ingress),
						.path = s->root });
	if (!ingress_is_loopback(s->ingress))
		on_notice(s, advice);
	if (s->o->core)
		on_notice(s, core);
}

static int listen_and_watch(struct serve *s, struct buffer *why)
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
	const struct watch_callbacks cb = { .changed = on_changed, .notice = on_notice, .context = s };
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

static void dispose(struct serve *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(s->signals); i++)
		uv_close((uv_handle_t *)&s->signals[i], NULL);
	uv_close((uv_handle_t *)&s->drain, NULL);
	uv_close((uv_handle_t *)&s->tidy, NULL);
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

static void open_console(struct serve *s)
{
	s->console = console_new(&s->loop, &(struct console_options){ .plugins = &s->plugins,
								      .terminal = s->terminal,
								      .url = ingress_url(s->ingress),
								      .quit = on_quit,
								      .context = s });
}

static void keep_history(struct serve *s)
{
	s->history = history_new(&s->loop, &(struct history_options){ .state_dir = s->dir.path,
								      .version = DEVSERVE_VERSION,
								      .notice = on_notice,
								      .context = s });
	s->historian = historian_new(s->events, s->history);
	s->plugins.history = s->history;
}

/* It didn't come to serve. */
static void leave_nothing(struct serve *s)
{
	s->builder = builder_free(s->builder);
	state_dir_remove_run_file(&s->dir, s->token);
	state_dir_take_back(&s->dir);
}

/* A name that is misspelt must not be a test that passes. */
static void find_all(struct serve *s)
{
	for (size_t i = 0; i < s->plugins.n_only; i++) {
		const char *name = s->plugins.only[i];

		if (plugins_find(&s->plugins, name) || s->stopping)
			continue;
		fprintf(stderr, "devserve: there is no deployment '%s' in %s\n", name, s->root);
		end(s, EXIT_FAILURE);
	}
}

static int run(struct serve *s)
{
	_cleanup_buffer_ struct buffer why = BUFFER_NULL;
	int r;

	s->started_ns = clock_ns();
	open_loop(s);
	open_sinks(s);
	r = start(s, &why);
	if (r == 0 && !s->checking)
		r = listen_and_watch(s, &why);
	if (r < 0) {
		s->status = complain(&why);
		leave_nothing(s);
		return s->status; /* nothing runs yet that would not end with us */
	}
	if (!s->checking)
		keep_history(s);
	if (!s->checking)
		tell_listening(s);
	if (!s->checking && s->terminal)
		open_console(s);
	plugins_scan(&s->plugins, s->started_ns);
	find_all(s);
	tell_if_ready(s);
	hub_run(&s->hub);
	if (!s->checking)
		events_emit(s->events, &(struct event){ .kind = EVENT_SERVER_STOPPED });
	dispose(s);
	return s->status;
}

int serve_run(const struct options *o)
{
	static struct serve s;

	s.o = o;
	return run(&s);
}

int serve_test(const struct options *o, const char *const *names, size_t n)
{
	static struct serve s;

	s.o = o;
	s.checking = s.testing = true;
	s.names = names;
	s.n_names = n;
	return run(&s);
}

int serve_check(const struct options *o)
{
	static struct serve s;

	s.o = o;
	s.checking = true;
	return run(&s);
}
