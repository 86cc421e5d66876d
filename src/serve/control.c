/* SPDX-License-Identifier: MIT */
#include "serve/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "config/config.h"
#include "deploy/companion.h"
#include "deploy/deploy.h"
#include "deploy/handle.h"
#include "infer/signature.h"
#include "ingress/ingress.h"
#include "record/recorder.h"
#include "serve/acceptance.h"
#include "serve/companions.h"
#include "serve/event.h"
#include "serve/front_page.h"
#include "serve/plugin.h"
#include "serve/plugin_root.h"
#include "serve/recordings.h"
#include "serve/reply.h"
#include "serve/rollbacks.h"
#include "serve/save.h"
#include "serve/written.h"

#define SETTLE_MS 20
#define MAX_ROUTES 32

/* Somebody whose answer isn't complete: a waiter for a deployment, or a reader of events. */
struct listener {
	LIST_ENTRY(listener) entry;
	struct control *control;
	struct exchange *exchange;
	char *deployment; /* NULL: all events */
	uv_timer_t timer; /* of a waiter: until it looks */
	bool has_timer;
};

struct control {
	struct control_options o;
	char *url;
	struct companions *companions;
	struct rollbacks *rollbacks;
	struct written *written;
	struct route routes[MAX_ROUTES];
	LIST_HEAD(, listener) waiters;
	LIST_HEAD(, listener) readers;
};

static void listener_destroy(struct listener *l)
{
	free(l->deployment);
	free(l);
}

static void on_timer_closed(uv_handle_t *handle)
{
	listener_destroy(handle->data);
}

static void listener_free(struct listener *l)
{
	LIST_REMOVE(l, entry);
	if (l->has_timer)
		uv_close((uv_handle_t *)&l->timer, on_timer_closed);
	else
		listener_destroy(l);
}

static void on_gone(void *context)
{
	listener_free(context);
}

/* Status */

static uint64_t resident_bytes(int pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/statm", pid);
	unsigned long long pages = 0;
	FILE *f = fopen(path, "re");

	if (!f)
		return 0;
	if (fscanf(f, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void describe_worker(struct buffer *json, pid_t pid, uint32_t generation)
{
	json_object(json, NULL);
	json_int(json, "pid", pid);
	json_uint(json, "generation", generation);
	json_uint(json, "rss_bytes", resident_bytes(pid));
	json_object_end(json);
}

static void describe_workers(struct buffer *json, const struct deployment_stats *s)
{
	json_array(json, "workers");
	for (unsigned i = 0; i < s->n_workers; i++)
		describe_worker(json, s->workers[i].pid, s->workers[i].generation);
	json_array_end(json);
	if (s->spare_pid)
		json_int(json, "spare_pid", s->spare_pid);
}

/* As deployment.yaml calls them; those of the generation that serves. */
static void describe_settings(struct buffer *json, const struct deployment_settings *s)
{
	json_object(json, "settings");
	json_uint(json, "num_replicas", s->num_replicas);
	json_uint(json, "max_ongoing_requests", s->max_ongoing_requests);
	json_double(json, "request_timeout_s", (double)s->request_timeout_ms / 1000);
	json_bool(json, "idempotent", s->idempotent);
	json_string(json, "gate", config_gates[s->gate]);
	json_object(json, "state");
	if (s->checkpoint_ms)
		json_uint(json, "checkpoint_ms", s->checkpoint_ms);
	json_object_end(json);
	json_object_end(json);
}

static void describe_companion(struct buffer *json, const struct deployment *d)
{
	struct companion_facts facts;

	companion_get(d, &facts);
	if (!facts.kind)
		return;
	json_object(json, "companion");
	companion_json(&facts, json);
	json_object_end(json);
}

#define DYING "each worker has died several times in a row, with no answer in between"

static const char *state_name(enum handle_state state, bool dying)
{
	if (state == HANDLE_READY && dying)
		return "crashing";
	return state == HANDLE_READY ? "ready" : state == HANDLE_LOADING ? "loading" : "unavailable";
}

static bool is_rolled_back(const struct plugin *p)
{
	const char *stale = p->deployment ? deployment_handle(p->deployment)->stale : NULL;

	return stale && strcmp(stale, "rolled-back") == 0;
}

/* Of the newest save: "rolled-back" where its author went back from it. */
static const char *outcome_of(const struct plugin *p, const char **ret_reason)
{
	bool rolled_back = is_rolled_back(p);

	*ret_reason = rolled_back ? PLUGIN_ASIDE : p->reason;
	return rolled_back ? "rolled-back" : p->outcome;
}

static void describe_unrecorded(struct buffer *json, struct deployment *d)
{
	_cleanup_buffer_ struct buffer advice = BUFFER_NULL;
	uint64_t bytes = deployment_recorder(d)->too_large;

	if (!bytes)
		return;
	recordings_put_advice(bytes, &advice);
	json_string(json, "unrecorded", advice.data);
}

static void describe_deployment(struct buffer *json, const struct plugin *p)
{
	const struct handle *h = deployment_handle(p->deployment);
	struct deployment_stats s;
	const char *reason, *outcome = outcome_of(p, &reason);

	deployment_get_stats(p->deployment, &s);
	json_object(json, NULL);
	json_string(json, "name", p->name);
	json_string(json, "state", state_name(h->state, s.dying));
	json_uint(json, "generation", h->generation);
	json_string(json, "stale", h->stale);
	json_string(json, "reason", h->state != HANDLE_READY ? h->reason : s.dying ? DYING : reason);
	json_string(json, "path", p->path);
	json_string(json, "last_outcome", outcome);
	if (s.sanitizer) {
		json_bool(json, "sanitized", true);
		json_string(json, "sanitizer", s.sanitizer);
	}
	if (h->signature && h->signature->cuda)
		json_bool(json, "cuda", true);
	describe_workers(json, &s);
	json_uint(json, "requests", s.requests);
	json_uint(json, "failures", s.failures);
	json_uint(json, "executions", s.executions);
	json_uint(json, "queued", s.waiting);
	json_uint(json, "in_flight", s.in_flight);
	json_uint(json, "restarts", s.restarts);
	json_uint(json, "compute_ns_mean", s.executions ? s.compute_ns / s.executions : 0);
	describe_companion(json, p->deployment);
	describe_unrecorded(json, p->deployment);
	if (p->verdict)
		json_raw(json, "verdict", p->verdict);
	describe_settings(json, &s.settings);
	json_object_end(json);
}

static void describe_clash(struct buffer *json, const struct plugin *p)
{
	json_object(json, NULL);
	json_string(json, "name", p->name);
	json_string(json, "state", "unavailable");
	json_uint(json, "generation", 0);
	json_string(json, "reason", p->clash);
	json_string(json, "path", p->path);
	json_string(json, "last_outcome", "refused");
	json_object_end(json);
}

static void on_status(void *context, struct exchange *x)
{
	struct control *c = context;
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;
	struct plugin *p;

	json_object(&json, NULL);
	json_string(&json, "version", c->o.version);
	json_string(&json, "url", c->url);
	json_string(&json, "root", c->o.plugins->root);
	json_int(&json, "pid", getpid());
	json_double(&json, "uptime_s", (double)(clock_ns() - c->o.started_ns) / (double)NS_PER_S);
	json_bool(&json, "ready", plugins_ready(c->o.plugins));
	json_array(&json, "deployments");
	LIST_FOREACH(p, &c->o.plugins->list, entry) {
		if (p->deployment)
			describe_deployment(&json, p);
		else
			describe_clash(&json, p);
	}
	json_array_end(&json);
	json_object_end(&json);
	buffer_putc(&json, '\n');
	reply_json(x, 200, &json);
}

static void on_front(void *context, struct exchange *x)
{
	struct control *c = context;
	_cleanup_buffer_ struct buffer html = BUFFER_NULL;

	front_page(c->o.plugins, &html);
	exchange_respond(x, 200, "text/html; charset=utf-8", html.data, html.size);
}

/* Waiting */

/* What became of the newest save, and since then of the generation that serves. */
static void answer_wait(struct exchange *x, const struct plugin *p)
{
	const struct plugin *refused = plugins_find_refused(p->plugins, p->name);
	struct deployment_stats s = { .sanitizer = NULL };
	const char *reason, *outcome = outcome_of(p, &reason);
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;

	if (p->deployment)
		deployment_get_stats(p->deployment, &s);
	json_object(&json, NULL);
	json_string(&json, "deployment", p->name);
	json_uint(&json, "generation", p->generation);
	json_string(&json, "outcome", refused ? "refused" : s.dying ? "crashed" : outcome);
	json_string(&json, "reason", refused ? refused->clash : s.dying ? DYING : reason);
	json_bool(&json, "sanitized", s.sanitizer != NULL);
	if (s.sanitizer)
		json_string(&json, "sanitizer", s.sanitizer);
	if (p->sanitize && !s.sanitizer)
		json_bool(&json, "sanitizing", true);
	json_object_end(&json);
	reply_json(x, 200, &json);
}

void control_settled(struct control *c, struct plugin *p)
{
	struct listener *l, *next;

	rollbacks_settled(c->rollbacks, p);
	if (save_is_under_way(p))
		return;
	for (l = LIST_FIRST(&c->waiters); l; l = next) {
		next = LIST_NEXT(l, entry);
		if (strcmp(l->deployment, p->name) != 0 || uv_is_active((uv_handle_t *)&l->timer))
			continue;
		answer_wait(l->exchange, p);
		listener_free(l);
	}
}

void control_stop(struct control *c)
{
	companions_stop(c->companions);
	rollbacks_stop(c->rollbacks);
	written_stop(c->written);
	while (!LIST_EMPTY(&c->waiters)) {
		struct listener *l = LIST_FIRST(&c->waiters);

		reply_refuse(l->exchange, 503, "the server is stopping");
		listener_free(l);
	}
}

static struct listener *listener_new(struct control *c, struct exchange *x, const char *deployment)
{
	struct listener *l = xcalloc(1, sizeof(*l));

	l->control = c;
	l->exchange = x;
	l->deployment = deployment ? xstrdup(deployment) : NULL;
	return l;
}

static struct plugin *look_again(struct plugins *ps, const char *name)
{
	plugins_check(ps, name);
	return plugins_find(ps, name); /* the check may have removed it */
}

/* The save that the asker has in mind has settled by now: files as young as it might change unseen. */
static void on_look(uv_timer_t *timer)
{
	struct listener *l = timer->data;
	struct plugin *p = look_again(l->control->o.plugins, l->deployment);

	if (uv_is_closing((uv_handle_t *)timer))
		return; /* looking ended something, which was the answer */
	if (!p)
		reply_refuse(l->exchange, 404, "there is no deployment of that name");
	else if (!save_is_under_way(p) && p->tried)
		answer_wait(l->exchange, p);
	else
		return; /* control_settled() answers */
	listener_free(l);
}

/* An answer, once the newest save of @name has ended. */
static void await(struct control *c, struct exchange *x, const char *name)
{
	struct listener *l = listener_new(c, x, name);

	uv_timer_init(c->o.plugins->loop, &l->timer);
	l->timer.data = l;
	l->has_timer = true;
	LIST_INSERT_HEAD(&c->waiters, l, entry);
	exchange_defer(x, on_gone, l);
	uv_update_time(c->o.plugins->loop);
	uv_timer_start(&l->timer, on_look, SETTLE_MS, 0);
}

static void on_wait(void *context, struct exchange *x)
{
	const char *name = exchange_query(x, "deployment");

	if (name)
		await(context, x, name);
	else
		reply_refuse(x, 400, "which deployment? Ask for /-/wait?deployment=NAME");
}

/* Without `on` it is the other way round afterwards. */
static void on_asan(void *context, struct exchange *x)
{
	struct control *c = context;
	const char *name = exchange_query(x, "deployment"), *on = exchange_query(x, "on");
	struct plugin *p = name ? plugins_find(c->o.plugins, name) : NULL;
	bool yes = on ? strcmp(on, "yes") == 0 : p && !p->sanitize;

	if (on && strcmp(on, "yes") != 0 && strcmp(on, "no") != 0) {
		reply_refuse(x, 400, "on=yes or on=no");
	} else if (!p) {
		reply_refuse(x, 404, "there is no deployment of that name; POST /-/asan?deployment=NAME");
	} else if (is_rolled_back(p) && yes) {
		reply_refuse(x, 409, "an earlier generation was rolled back to, and this builds what lies on disk; save it first");
	} else {
		plugin_sanitize(p, yes);
		await(c, x, name);
	}
}

/* Events */

static void on_event(void *context, const struct event *e, const char *json, size_t size)
{
	struct control *c = context;
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	struct listener *l, *next;

	if (LIST_EMPTY(&c->readers))
		return;
	buffer_printf(&text, "event: %s\ndata: ", event_name(e->kind));
	buffer_append(&text, json, size); /* ends with a newline itself */
	buffer_putc(&text, '\n');
	for (l = LIST_FIRST(&c->readers); l; l = next) {
		next = LIST_NEXT(l, entry); /* a reader that is too slow goes during the write */
		exchange_write(l->exchange, text.data, text.size);
	}
}

static void on_events(void *context, struct exchange *x)
{
	static const char hello[] = ": devserve\n\n";
	struct control *c = context;
	struct listener *l = listener_new(c, x, NULL);

	LIST_INSERT_HEAD(&c->readers, l, entry);
	exchange_stream(x, "text/event-stream", on_gone, l);
	exchange_write(x, hello, sizeof(hello) - 1);
}

struct control *control_new(const struct control_options *o)
{
	struct control *c = xcalloc(1, sizeof(*c));
	struct companions *companions = companions_new(o->plugins);
	struct rollbacks *rollbacks = rollbacks_new(o->plugins);
	struct written *written = written_new(o->plugins);
	const struct route routes[] = {
		{ "GET", "/", false, on_front, c },
		{ "GET", "/-/status", true, on_status, c },
		{ "GET", "/-/wait", true, on_wait, c },
		{ "GET", "/-/events", true, on_events, c },
		{ "POST", "/-/accept", true, accept_on_request, o->plugins },
		{ "GET", "/-/written", true, written_on_asked, written },
		{ "POST", "/-/canary", true, companions_on_canary, companions },
		{ "POST", "/-/shadow", true, companions_on_shadow, companions },
		{ "POST", "/-/asan", true, on_asan, c },
		{ "GET", "/-/recordings", true, recordings_list, o->plugins },
		{ "GET", "/-/recording", true, recordings_get, o->plugins },
		{ "POST", "/-/keep", true, recordings_keep, o->plugins },
		{ "POST", "/-/rollback", true, rollbacks_on_asked, rollbacks },
		{ .path = NULL },
	};

	c->o = *o;
	c->companions = companions;
	_Static_assert(sizeof(routes) <= sizeof(c->routes), "MAX_ROUTES");
	c->rollbacks = rollbacks;
	c->written = written;
	memcpy(c->routes, routes, sizeof(routes));
	LIST_INIT(&c->waiters);
	LIST_INIT(&c->readers);
	events_add_sink(o->events, on_event, c);
	return c;
}

struct control *control_free(struct control *c)
{
	if (!c)
		return NULL;
	while (!LIST_EMPTY(&c->waiters))
		listener_free(LIST_FIRST(&c->waiters));
	while (!LIST_EMPTY(&c->readers))
		listener_free(LIST_FIRST(&c->readers));
	events_remove_sink(c->o.events, on_event, c);
	companions_free(c->companions);
	rollbacks_free(c->rollbacks);
	written_free(c->written);
	free(c->url);
	free(c);
	return NULL;
}

const struct route *control_routes(struct control *c)
{
	return c->routes;
}

void control_set_url(struct control *c, const char *url)
{
	free(c->url);
	c->url = xstrdup(url);
}
