/* SPDX-License-Identifier: MIT */

/*
 * By default two sockets, 127.0.0.1 and [::1], on one port: a client that resolves
 * "localhost" may try either first, and somebody else's server on the other family's port
 * would answer half of them. Where the machine has no ::1, IPv4 alone.
 *
 * No place for another connection: one that has asked nothing for a second is closed in its
 * favour, with half a head or without. Where all are at work it is a guest: INGRESS_MAX_GUESTS are
 * taken beyond the limit, so that health is answered and all else gets 503 at once; what
 * comes beyond those stays in the kernel's backlog (libuv stops asking once an accepted
 * socket isn't fetched) until a connection is closed.
 */

#include "ingress/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "ingress/connection.h"
#include "ingress/exchange.h"
#include "ingress/owner.h"
#include "ingress/patience.h"

#define BACKLOG 1024
#define PORT_TRIES 16

/* connections */

void ingress_make_place(struct ingress *in)
{
	struct connection *c, *found = NULL;
	uint64_t now = uv_now(in->loop);

	TAILQ_FOREACH(c, &in->connections, siblings)
		if (patience_yields(c, now) && (!found || c->coming.since_ms < found->coming.since_ms))
			found = c;
	if (found)
		connection_close(found);
}

static void accept_from(struct ingress *in, unsigned i)
{
	if (in->stopping)
		return;
	if (in->n_connections >= in->options.max_connections)
		ingress_make_place(in);
	if (in->n_connections >= in->options.max_connections + INGRESS_MAX_GUESTS) {
		in->waiting |= 1u << i;
		return;
	}
	in->waiting &= ~(1u << i);
	connection_accept(in, (uv_stream_t *)&in->listeners[i]);
}

static void accept_waiting(struct ingress *in)
{
	for (unsigned i = 0; i < in->n_listeners; i++)
		if (in->waiting & 1u << i)
			accept_from(in, i);
}

static void on_tick(uv_timer_t *timer)
{
	struct ingress *in = timer->data;
	struct connection *c = TAILQ_FIRST(&in->connections), *next;
	uint64_t now = uv_now(in->loop);

	for (; c; c = next) {
		next = TAILQ_NEXT(c, siblings);
		patience_tick(c, now);
	}
	accept_waiting(in);
	if (!in->n_connections && !in->stopping)
		uv_timer_stop(timer);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct ingress *in = listener->data;

	if (status < 0)
		return;
	accept_from(in, (unsigned)((uv_tcp_t *)listener - in->listeners));
	if (in->n_connections && !uv_is_active((uv_handle_t *)&in->tick))
		uv_timer_start(&in->tick, on_tick, 1000, 1000);
}

/* A turn makes others due, but never in front of those that are. */
static void on_later(uv_idle_t *idle)
{
	struct ingress *in = idle->data;
	bool more = packing_turn(in);
	struct connection *c, *last = TAILQ_LAST(&in->due, connections);

	do {
		c = TAILQ_FIRST(&in->due);
		if (!c)
			break;
		TAILQ_REMOVE(&in->due, c, due);
		connection_turn(c);
	} while (c != last);
	if (TAILQ_EMPTY(&in->due) && !more)
		uv_idle_stop(idle);
}

void ingress_wake(struct ingress *in)
{
	uv_idle_start(&in->later, on_later);
}

/* end */

static void free_options(struct ingress_options *o)
{
	free((char *)o->host);
	free((char *)o->token);
	free((char *)o->allow_host);
	free((char *)o->allow_origin);
	free((char *)o->version);
}

static void free_ingress(struct ingress *in)
{
	struct exchange *x;

	while ((x = SLIST_FIRST(&in->pool))) {
		SLIST_REMOVE_HEAD(&in->pool, pool);
		exchange_discard(x);
	}
	coders_fini(&in->coders);
	buffer_fini(&in->name);
	buffer_fini(&in->sentence);
	free_options(&in->options);
	free(in->url);
	free(in);
}

static void release_handle(struct ingress *in)
{
	void (*done)(void *context) = in->done;
	void *context = in->done_context;

	if (--in->n_handles)
		return;
	free_ingress(in);
	if (done)
		done(context);
}

static void on_handle_closed(uv_handle_t *handle)
{
	release_handle(handle->data);
}

static void close_handle(void *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, on_handle_closed);
}

static void close_listeners(struct ingress *in)
{
	for (unsigned i = 0; i < in->n_listeners; i++)
		close_handle(&in->listeners[i]);
}

/* The timer and the idle handle are needed until the last connection is closed. */
static void close_if_empty(struct ingress *in)
{
	if (!in->stopping || in->n_connections)
		return;
	close_handle(&in->tick);
	close_handle(&in->later);
}

void ingress_forget(struct ingress *in)
{
	close_if_empty(in);
	if (!in->stopping)
		accept_waiting(in);
	release_handle(in);
}

static void close_all(struct ingress *in)
{
	struct connection *c;

	while ((c = TAILQ_FIRST(&in->connections)))
		connection_close(c);
}

void ingress_stop(struct ingress *in, void (*done)(void *context), void *context)
{
	struct connection *c, *next;
	bool again = in->stopping;

	in->stopping = true;
	in->done = done;
	in->done_context = context;
	if (again) {
		close_all(in);
		return;
	}
	close_listeners(in);
	for (c = TAILQ_FIRST(&in->connections); c; c = next) {
		next = TAILQ_NEXT(c, siblings);
		connection_drain(c);
	}
	close_if_empty(in);
}

/* start */

struct addresses {
	struct sockaddr_storage at[INGRESS_MAX_LISTENERS];
	int fds[INGRESS_MAX_LISTENERS]; /* -1: the machine has no such family */
	unsigned n;
};

static void explain(const char *host, unsigned port, int r, struct buffer *why)
{
	if (r == -EADDRINUSE) {
		buffer_printf(why, "port %u is in use by ", port);
		if (port_owner(port, why) < 0)
			buffer_puts(why, "another program");
		buffer_puts(why, "; --port N picks another, --port 0 any that is free");
	} else if (r == -EACCES) {
		buffer_printf(why, "port %u may not be opened by this user; "
				   "take one above 1023 (--port N)", port);
	} else if (r == -EADDRNOTAVAIL) {
		buffer_printf(why, "%s is no address of this machine; see --host",
			      host ? host : "127.0.0.1");
	} else {
		buffer_printf(why, "cannot listen on port %u: %s", port, strerror(-r));
	}
}

static socklen_t set_port(struct sockaddr_storage *a, unsigned port)
{
	if (a->ss_family == AF_INET6) {
		((struct sockaddr_in6 *)a)->sin6_port = htons((uint16_t)port);
		return sizeof(struct sockaddr_in6);
	}
	((struct sockaddr_in *)a)->sin_port = htons((uint16_t)port);
	return sizeof(struct sockaddr_in);
}

static unsigned port_of(int fd)
{
	struct sockaddr_storage a;
	socklen_t size = sizeof(a);

	if (getsockname(fd, (struct sockaddr *)&a, &size) < 0)
		return 0;
	return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
					     : ((struct sockaddr_in *)&a)->sin_port);
}

/* TCP_NODELAY is inherited by the sockets that are accepted. */
static int open_socket(struct sockaddr_storage *a, unsigned port)
{
	int fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t size = set_port(a, port);
	const int on = 1;
	int r;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (a->ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)a, size) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

static void close_sockets(struct addresses *a)
{
	for (unsigned i = 0; i < a->n; i++) {
		if (a->fds[i] >= 0)
			close(a->fds[i]);
		a->fds[i] = -1;
	}
}

static bool has_no_family(int r)
{
	return r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT;
}

/* All of @a on one port, which is chosen by the first where it is 0. */
static int open_once(struct addresses *a, unsigned *port)
{
	for (unsigned i = 0; i < a->n; i++) {
		int fd = open_socket(&a->at[i], *port);

		if (fd < 0 && i > 0 && has_no_family(fd))
			continue;
		if (fd < 0) {
			close_sockets(a);
			return fd;
		}
		a->fds[i] = fd;
		*port = port_of(fd);
	}
	return 0;
}

/* A port that is free in one family may be taken in the other. */
static int open_all(struct addresses *a, unsigned wanted, unsigned *ret_port)
{
	unsigned port, tries = 0;
	int r;

	do {
		port = wanted;
		r = open_once(a, &port);
	} while (r == -EADDRINUSE && !wanted && ++tries < PORT_TRIES);
	*ret_port = port;
	return r;
}

static int add_listener(struct ingress *in, int fd)
{
	uv_tcp_t *tcp = &in->listeners[in->n_listeners++];
	int r;

	uv_tcp_init(in->loop, tcp);
	tcp->data = in;
	in->n_handles++;
	r = uv_tcp_open(tcp, fd);
	return r ? r : uv_listen((uv_stream_t *)tcp, BACKLOG, on_connection);
}

static bool is_loopback(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
	return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
}

static bool is_any(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)a)->sin6_addr);
	return ((const struct sockaddr_in *)a)->sin_addr.s_addr == INADDR_ANY;
}

static void add_loopback(struct addresses *a)
{
	uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)&a->at[a->n++]);
	uv_ip6_addr("::1", 0, (struct sockaddr_in6 *)&a->at[a->n++]);
}

static int resolve(const char *host, struct addresses *ret, struct buffer *why)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct addrinfo *list;
	int r = getaddrinfo(host, NULL, &hints, &list);

	if (r) {
		buffer_printf(why, "host %s: %s; see --host", host, gai_strerror(r));
		return -EADDRNOTAVAIL;
	}
	for (struct addrinfo *i = list; i && ret->n < INGRESS_MAX_LISTENERS; i = i->ai_next)
		if (i->ai_family == AF_INET || i->ai_family == AF_INET6)
			memcpy(&ret->at[ret->n++], i->ai_addr, i->ai_addrlen);
	freeaddrinfo(list);
	return ret->n ? 0 : -EADDRNOTAVAIL;
}

static char *make_url(const struct ingress *in)
{
	const char *host = in->options.host ? in->options.host : "127.0.0.1";

	return xasprintf(strchr(host, ':') ? "http://[%s]:%u" : "http://%s:%u", host, in->options.port);
}

static char *copy(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

/* "[::1]" -> "::1" */
static char *copy_host(const char *host)
{
	size_t size = host ? strlen(host) : 0;
	bool brackets = size > 2 && host[0] == '[' && host[size - 1] == ']';

	return host ? xstrndup(host + brackets, size - 2 * brackets) : NULL;
}

static struct ingress *make(uv_loop_t *loop, struct deploy *deploy, const struct ingress_options *o)
{
	struct ingress *in = xcalloc(1, sizeof(*in));

	in->loop = loop;
	in->deploy = deploy;
	in->options = *o;
	in->options.host = copy_host(o->host);
	in->options.token = copy(o->token);
	in->options.allow_host = copy(o->allow_host);
	in->options.allow_origin = copy(o->allow_origin);
	in->options.version = copy(o->version);
	TAILQ_INIT(&in->connections);
	TAILQ_INIT(&in->due);
	packing_queue_init(&in->packing);
	in->coders.level = (int)o->compression;
	SLIST_INIT(&in->pool);
	uv_timer_init(loop, &in->tick);
	uv_idle_init(loop, &in->later);
	in->tick.data = in->later.data = in;
	in->n_handles = 2;
	return in;
}

static void set_authority(struct ingress *in, const struct addresses *a)
{
	in->authority.name = in->options.host;
	in->authority.token = in->options.token;
	in->authority.hosts = in->options.allow_host;
	in->authority.origins = in->options.allow_origin;
	in->authority.loopback = true;
	for (unsigned i = 0; i < a->n; i++) {
		in->authority.loopback &= is_loopback(&a->at[i]);
		in->authority.any_address |= is_any(&a->at[i]);
	}
}

static int add_listeners(struct ingress *in, struct addresses *a, struct buffer *why)
{
	for (unsigned i = 0; i < a->n; i++) {
		int r = a->fds[i] >= 0 ? add_listener(in, a->fds[i]) : 0;

		if (r < 0) {
			explain(in->options.host, in->options.port, r, why);
			return r;
		}
	}
	return 0;
}

static int open_addresses(const struct ingress_options *o, struct addresses *a, unsigned *ret_port,
			  struct buffer *why)
{
	_cleanup_free_ char *host = copy_host(o->host);
	int r = 0;

	if (host)
		r = resolve(host, a, why);
	else
		add_loopback(a);
	for (unsigned i = 0; i < a->n; i++)
		a->fds[i] = -1;
	if (r == 0) {
		r = open_all(a, o->port, ret_port);
		if (r < 0)
			explain(host, *ret_port, r, why);
	}
	return r;
}

int ingress_start(uv_loop_t *loop, struct deploy *deploy, const struct ingress_options *o,
		  struct buffer *why, struct ingress **ret)
{
	struct addresses a = { .n = 0 };
	struct ingress *in;
	unsigned port;
	int r = open_addresses(o, &a, &port, why);

	if (r < 0)
		return r;
	in = make(loop, deploy, o);
	in->options.port = port;
	r = add_listeners(in, &a, why);
	if (r < 0) {
		ingress_stop(in, NULL, NULL);
		return r;
	}
	set_authority(in, &a);
	in->url = make_url(in);
	*ret = in;
	return 0;
}

bool ingress_is_loopback(const struct ingress *in)
{
	return in->authority.loopback;
}

const char *ingress_url(const struct ingress *in)
{
	return in->url;
}
