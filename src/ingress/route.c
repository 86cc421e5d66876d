/* SPDX-License-Identifier: MIT */
#include "ingress/route.h"

#include <string.h>

#include "base/buffer.h"
#include "deploy/handle.h"
#include "ingress/allowed.h"
#include "ingress/connection.h"
#include "ingress/exchange.h"
#include "ingress/listener.h"
#include "ingress/v2.h"

#define ANY_METHOD "GET, HEAD, POST, OPTIONS"

bool route_reads(const struct head *h)
{
	return h->method == METHOD_GET || h->method == METHOD_HEAD;
}

static void refuse(struct plan *p, int status, const char *sentence)
{
	p->status = status;
	p->sentence = sentence;
}

static bool begins_with(struct span s, const char *text)
{
	size_t n = strlen(text);

	return s.size >= n && memcmp(s.at, text, n) == 0;
}

static bool matches_path(const struct route *r, struct span path)
{
	size_t n = strlen(r->path);

	return begins_with(path, r->path) && (path.size == n || (n > 1 && r->path[n - 1] == '/'));
}

static bool matches_method(const struct route *r, const struct head *h)
{
	return strcmp(r->method, method_name(h->method)) == 0 ||
	       (h->method == METHOD_HEAD && strcmp(r->method, "GET") == 0);
}

/* The longest path that matches, whatever the method. */
static size_t best_match(const struct route *routes, struct span path)
{
	size_t best = 0;

	for (const struct route *r = routes; r && r->path; r++)
		if (matches_path(r, path) && strlen(r->path) > best)
			best = strlen(r->path);
	return best;
}

static void run_route(struct exchange *x)
{
	const struct route *r = x->plan.route;

	x->state = EXCHANGE_RUNNING;
	r->handle(r->context, x);
	if (x->state == EXCHANGE_RUNNING && !x->deferred)
		exchange_refuse(x, 500, "The server forgot to answer.");
}

static const char *allowed(struct ingress *in, struct span path, size_t best)
{
	struct buffer *b = &in->sentence;

	buffer_reset(b);
	for (const struct route *r = in->options.routes; r->path; r++) {
		if (strlen(r->path) != best || !matches_path(r, path))
			continue;
		buffer_puts(b, r->method);
		buffer_puts(b, strcmp(r->method, "GET") == 0 ? ", HEAD, " : ", ");
	}
	buffer_puts(b, "OPTIONS");
	return buffer_text(b);
}

static void plan_control(struct ingress *in, const struct head *h, struct plan *p)
{
	struct span path = h->target.path;
	size_t best = best_match(in->options.routes, path);

	p->token = begins_with(path, "/-/");
	p->page = !p->token;
	if (!best) {
		refuse(p, 404, "Not Found");
		return;
	}
	for (const struct route *r = in->options.routes; r->path && !p->route; r++)
		if (strlen(r->path) == best && matches_path(r, path) && matches_method(r, h))
			p->route = r;
	if (!p->route) {
		route_refuse_method(h, allowed(in, path, best), p);
		return;
	}
	p->sink = SINK_COLLECT;
	p->run = run_route;
	p->token |= p->route->token;
}

void route_refuse_method(const struct head *h, const char *allow, struct plan *p)
{
	p->allow = allow;
	if (h->method == METHOD_OPTIONS)
		refuse(p, 204, NULL);
	else
		refuse(p, 405, "Method Not Allowed");
}

/* Judged by what it was going to do, and before it is told that it can't. */
static void authorize_plan(struct ingress *in, struct exchange *x, const struct head *h, struct plan *p)
{
	struct principal who = {
		.host = h->host,
		.origin = h->origin,
		.site = h->site,
		.mode = h->mode,
		.destination = h->destination,
		.authorization = h->authorization,
		.reads = route_reads(h),
		.page = p->page,
		.health = p->health,
		.token = p->token,
		.preflight = h->method == METHOD_OPTIONS && h->request_method.at,
	};
	const char *why = NULL;
	int status = authorize(&in->authority, &who, &why);

	if ((!status || status == 204) && h->target.authority.size &&
	    (h->target.authority.size != h->host.size ||
	     strncasecmp(h->target.authority.at, h->host.at, h->host.size) != 0)) {
		status = 400;
		why = "The Host header and the request's target disagree.";
	}
	if (status) {
		p->allow = status == 204 ? ANY_METHOD : NULL;
		refuse(p, status, why);
		if (x->handle)
			x->handle = handle_unref(x->handle); /* nothing of it is to be told */
	}
}

/* A guest stays one until there is a place. */
static void check_place(struct exchange *x, struct plan *p)
{
	struct connection *c = x->c;
	struct ingress *in = c->in;

	if (!c->guest)
		return;
	if (in->n_connections > in->options.max_connections)
		ingress_make_place(in);
	c->guest = in->n_connections > in->options.max_connections;
	if (!c->guest)
		return;
	x->close = c->last = true;
	if (c->state == CONNECTION_HEAD)
		c->state = CONNECTION_DEAF;
	refuse(p, 503, "The server has as many connections as it may (--max-connections), all of them "
		       "at work.");
}

static void plan(struct ingress *in, struct exchange *x, struct head *h, struct plan *p)
{
	struct span *path = &h->target.path;

	if (path->at[0] == '*') {
		route_refuse_method(h, ANY_METHOD, p);
		if (h->method != METHOD_OPTIONS)
			refuse(p, 400, "Only OPTIONS has the target \"*\".");
	} else if (target_resolve(*path, &in->name, path) < 0) {
		refuse(p, 400, "The path is malformed: no control bytes, backslashes, encoded slashes, \".\" and "
			       "\"..\"; and what is encoded is UTF-8.");
	} else if (!v2_plan(in, x, h, p)) {
		plan_control(in, h, p);
	}
}

void route_plan(struct ingress *in, struct exchange *x, struct head *h, struct plan *ret)
{
	struct plan p = { .sink = SINK_DROP };

	if (h->origin.at)
		x->origin = allowed_find(in->authority.origins, h->origin);
	plan(in, x, h, &p);
	authorize_plan(in, x, h, &p);
	if (!p.status && !p.health)
		check_place(x, &p);
	*ret = p;
}
