/* SPDX-License-Identifier: MIT */

/*
 * Callbacks of others (a handler, deploy's `done`) come back into this file by
 * connection_answered(), which never closes anything: it may be called from the middle of
 * somebody's loop. A connection is closed from our own callbacks only: read, written,
 * tick, or its turn (`due`), each of which ends in connection_settle().
 *
 * An answer to a connection that waits for nothing else is written at once. Of one that has
 * several under way they are written in its turn, so that those which become complete
 * together leave together.
 */

#include "ingress/connection.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "deploy/handle.h"
#include "ingress/body.h"
#include "ingress/exchange.h"
#include "ingress/listener.h"
#include "ingress/receive.h"
#include "ingress/send.h"

static void make_due(struct connection *c)
{
	struct ingress *in = c->in;

	if (c->is_due || c->closed)
		return;
	c->is_due = true;
	TAILQ_INSERT_TAIL(&in->due, c, due);
	ingress_wake(in);
}

void connection_answered(struct connection *c, bool now)
{
	if (c->busy)
		return;
	if (now && c->n_exchanges == 1 && !c->paused) {
		send_answers(c);
		if (!c->broken && c->state != CONNECTION_DEAF)
			return;
	}
	make_due(c);
}

/*
 * Closing a socket with unread bytes in it makes the kernel send a reset, which may
 * overtake our answer: say that we are done, and read on for a moment.
 */
static void linger(struct connection *c)
{
	uv_os_fd_t fd;

	if (uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0)
		shutdown(fd, SHUT_WR);
	c->lingering = true;
	patience_begin(c);
	receive_set(c, true);
}

static bool may_go_on(const struct connection *c)
{
	return (c->receiving && body_is_behind(c->receiving)) ||
	       (c->n_exchanges <= RECEIVE_MAX_QUEUE / 2 && c->unsent < RECEIVE_MAX_UNSENT);
}

void connection_settle(struct connection *c)
{
	if (c->closed)
		return;
	send_answers(c);
	if (c->broken) {
		connection_close(c);
	} else if (c->state == CONNECTION_DEAF && STAILQ_EMPTY(&c->queue)) {
		if (!c->unread || c->ended || (c->lingering && c->in->stopping))
			connection_close(c);
		else if (!c->lingering)
			linger(c);
	} else if (c->paused && may_go_on(c)) {
		make_due(c);
	}
}

void connection_turn(struct connection *c)
{
	c->is_due = false;
	c->busy = true;
	c->handled = c->unpacked = 0;
	if (c->paused)
		receive_bytes(c, NULL, 0);
	c->busy = false;
	connection_settle(c);
}

void connection_drain(struct connection *c)
{
	struct exchange *x;

	c->last = true;
	if (c->state == CONNECTION_HEAD)
		c->state = CONNECTION_DEAF;
	STAILQ_FOREACH(x, &c->queue, queue)
		if (x->state == EXCHANGE_STREAMING)
			exchange_hang_up(x);
	make_due(c);
}

static void on_closed(uv_handle_t *handle)
{
	struct connection *c = (struct connection *)handle;
	struct ingress *in = c->in;

	free(c);
	ingress_forget(in);
}

void connection_close(struct connection *c)
{
	struct ingress *in = c->in;
	struct exchange *x;

	if (c->closed)
		return;
	c->closed = true;
	while ((x = STAILQ_FIRST(&c->queue))) {
		STAILQ_REMOVE_HEAD(&c->queue, queue);
		exchange_free(x);
	}
	if (c->handle)
		c->handle = handle_unref(c->handle);
	buffer_fini(&c->pending);
	if (c->is_due)
		TAILQ_REMOVE(&in->due, c, due);
	TAILQ_REMOVE(&in->connections, c, siblings);
	in->n_connections--;
	uv_close((uv_handle_t *)&c->tcp, on_closed);
}

void connection_reset(struct connection *c)
{
	const struct linger none = { .l_onoff = 1, .l_linger = 0 };
	uv_os_fd_t fd;

	if (!c->closed && uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	connection_close(c);
}

int connection_accept(struct ingress *in, uv_stream_t *listener)
{
	struct connection *c = xcalloc(1, sizeof(*c));
	int r;

	c->in = in;
	STAILQ_INIT(&c->queue);
	TAILQ_INSERT_TAIL(&in->connections, c, siblings);
	c->guest = in->n_connections++ >= in->options.max_connections;
	in->n_handles++;
	uv_tcp_init(in->loop, &c->tcp);
	patience_begin(c);
	r = uv_accept(listener, (uv_stream_t *)&c->tcp);
	if (r < 0)
		connection_close(c);
	else
		receive_set(c, true);
	return r;
}
