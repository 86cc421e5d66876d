/* SPDX-License-Identifier: MIT */

/*
 * Reading. Bytes come into one buffer that all connections share and are understood right
 * there; only what can't be (half a head, requests beyond the limits) is copied to the
 * connection's `pending`, and then reading stops or is bounded by the size of a head. The
 * body of an inference is the exception: once its first bytes have told where it belongs,
 * libuv reads straight to that place (on_alloc), and the parser never sees it.
 *
 * Limits. A connection that sends requests and takes no answers stops being read at
 * MAX_QUEUE unanswered requests or MAX_UNSENT bytes; one that sends many at once gives way
 * to the others after MAX_TURN of them. What it has sent already waits in `pending`.
 *
 * Writing. Answers leave in the order of the requests. What is complete at the head of the
 * queue is gathered into one write. Outputs in shared memory are written from there; the
 * exchange keeps them until the last byte has gone.
 *
 * Closing. Callbacks of others (a handler, deploy's `done`) come back into this file by
 * connection_answered(), which never closes anything: it may be called from the middle of
 * somebody's loop. A connection is closed from our own callbacks only: read, written,
 * tick, or its turn (`due`).
 */

#include "ingress/connection.h"

#include <http_parser.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/memory.h"
#include "deploy/handle.h"
#include "ingress/exchange.h"
#include "ingress/listener.h"
#include "ingress/route.h"
#include "ingress/v2.h"

#define MAX_QUEUE 64
#define MAX_UNSENT (1024 * 1024)
#define MAX_TURN 32
#define MAX_DROP (1024 * 1024) /* bytes of an unwanted body that are read to keep the connection */
#define KEEP_PENDING 4096
#define N_PARTS 64

#define HEAD_MS 10000
#define BODY_MS 5000
#define IDLE_MS 75000
#define WRITE_MS 30000
#define LINGER_MS 2000
#define LINGER_TOTAL_MS 30000

static void progress(struct connection *c)
{
	c->since_ms = uv_now(c->in->loop);
}

/* later */

static void make_due(struct connection *c)
{
	struct ingress *in = c->in;

	if (c->is_due || c->closed)
		return;
	c->is_due = true;
	TAILQ_INSERT_TAIL(&in->due, c, due);
	ingress_wake(in);
}

/* writing */

static void pop(struct connection *c)
{
	struct exchange *x = STAILQ_FIRST(&c->queue);

	STAILQ_REMOVE_HEAD(&c->queue, queue);
	c->n_exchanges--;
	c->unsent -= x->counted;
	if (x->close) {
		c->state = CONNECTION_DEAF;
		c->receiving = NULL;
	}
	exchange_free(x);
	progress(c);
}

static bool is_sendable(const struct exchange *x)
{
	return x->state == EXCHANGE_DONE || x->state == EXCHANGE_STREAMING;
}

/* A stream's next bytes, while none are under way. */
static void refill(struct exchange *x)
{
	struct buffer spent = x->out;

	if (x->start < x->out.size || !x->more.size)
		return;
	x->out = x->more;
	x->start = 0;
	x->more = spent;
	x->more.size = 0;
}

static unsigned add_parts(struct exchange *x, uv_buf_t *parts)
{
	unsigned n = 0;

	refill(x);
	if (x->start < x->out.size)
		parts[n++] = uv_buf_init(x->out.data + x->start, (unsigned)(x->out.size - x->start));
	for (int i = x->iov_at; i < x->n_iov; i++)
		parts[n++] = (uv_buf_t){ .base = x->iov[i].iov_base, .len = x->iov[i].iov_len };
	return n;
}

/* What can be sent now, from the head of the queue. */
static unsigned gather(struct connection *c, uv_buf_t *parts)
{
	struct exchange *x;
	unsigned n = 0;

	STAILQ_FOREACH(x, &c->queue, queue) {
		if (!is_sendable(x) || n + 1 + (unsigned)(x->n_iov - x->iov_at) > N_PARTS)
			break;
		n += add_parts(x, parts + n);
		if (x->state == EXCHANGE_STREAMING || x->more.size)
			break;
	}
	return n;
}

/* @size bytes of @x at most have gone; returns how many are left of @size. */
static size_t advance_one(struct exchange *x, size_t size)
{
	size_t n = x->out.size - x->start;

	if (n > size)
		n = size;
	x->start += n;
	size -= n;
	while (x->start == x->out.size && x->iov_at < x->n_iov) {
		struct iovec *v = &x->iov[x->iov_at];

		if (v->iov_len > size) {
			v->iov_base = (char *)v->iov_base + size;
			v->iov_len -= size;
			return 0;
		}
		size -= v->iov_len;
		x->iov_at++;
	}
	return size;
}

static void advance(struct connection *c, size_t size)
{
	struct exchange *x;

	while ((x = STAILQ_FIRST(&c->queue)) && is_sendable(x)) {
		size = advance_one(x, size);
		if (x->start < x->out.size || x->iov_at < x->n_iov || x->more.size)
			break;
		if (x->state == EXCHANGE_STREAMING) {
			if (x->head_only)
				c->broken = true; /* nothing follows: its handler is told */
			break;
		}
		pop(c);
	}
}

static void settle(struct connection *c);

static void on_written(uv_write_t *req, int status)
{
	struct connection *c = req->data;

	if (c->closed)
		return;
	c->writing = false;
	if (status < 0)
		c->broken = true;
	else
		advance(c, c->write_size);
	settle(c);
}

/*
 * The rest of a write that the kernel took in part. The parts stay where they are, in
 * their exchanges, until on_written().
 */
static void write_rest(struct connection *c, uv_buf_t *parts, unsigned n, size_t done)
{
	unsigned at = 0;

	while (parts[at].len <= done)
		done -= parts[at++].len;
	parts[at].base += done;
	parts[at].len -= done;
	c->write.data = c;
	c->writing = true;
	progress(c);
	if (uv_write(&c->write, (uv_stream_t *)&c->tcp, parts + at, n - at, on_written) < 0) {
		c->writing = false;
		c->broken = true;
	}
}

static void flush(struct connection *c)
{
	while (!c->writing && !c->broken && !c->closed) {
		uv_buf_t parts[N_PARTS];
		unsigned n = gather(c, parts);
		size_t total = 0;
		int done;

		if (!n)
			break;
		for (unsigned i = 0; i < n; i++)
			total += parts[i].len;
		done = uv_try_write((uv_stream_t *)&c->tcp, parts, n);
		if (done == UV_EAGAIN)
			done = 0;
		if (done < 0) {
			c->broken = true;
			break;
		}
		if ((size_t)done == total) {
			advance(c, total);
			continue;
		}
		c->write_size = total;
		write_rest(c, parts, n, (size_t)done);
	}
}

void connection_answered(struct connection *c, bool now)
{
	if (c->busy)
		return;
	if (now && c->n_exchanges == 1 && !c->paused) {
		flush(c);
		if (!c->broken && c->state != CONNECTION_DEAF)
			return;
	}
	make_due(c);
}

/* reading */

static void next_request(struct connection *c)
{
	c->gate = (struct gate)GATE_NULL;
	c->state = c->last ? CONNECTION_DEAF : CONNECTION_HEAD;
}

/* What comes from now on can't be understood, or isn't wanted. */
static void stop_listening(struct connection *c)
{
	c->state = CONNECTION_DEAF;
	c->receiving = NULL;
	c->unread = true;
}

/* The answer to @x, or to what can't even be called a request; the connection ends with it. */
static void fail(struct connection *c, struct exchange *x, int status, const char *sentence)
{
	stop_listening(c);
	if (!x)
		x = exchange_new(c);
	x->close = true;
	exchange_refuse(x, status, sentence);
}

bool connection_drop_body(struct connection *c, struct exchange *x)
{
	c->receiving = NULL;
	if (c->state != CONNECTION_BODY && c->state != CONNECTION_CHUNKED)
		return true;
	if (!x->expects && (c->state == CONNECTION_CHUNKED || c->body_left <= MAX_DROP))
		return true;
	stop_listening(c);
	return false;
}

static void end_body(struct connection *c)
{
	struct exchange *x = c->receiving;

	c->receiving = NULL;
	next_request(c);
	if (x)
		exchange_body_ended(x);
}

static void deliver(struct connection *c, const char *bytes, size_t size)
{
	progress(c);
	if (c->receiving)
		exchange_take(c->receiving, bytes, size);
	else if ((c->dropped += size) > MAX_DROP)
		stop_listening(c);
}

static size_t take_body(struct connection *c, const char *bytes, size_t size)
{
	if (size > c->body_left)
		size = (size_t)c->body_left;
	c->body_left -= size;
	deliver(c, bytes, size);
	if (!c->body_left && c->state == CONNECTION_BODY)
		end_body(c);
	return size;
}

static size_t take_chunks(struct connection *c, const char *bytes, size_t size)
{
	size_t used, n = 0;
	int r = chunk_decode(&c->chunk, bytes, size, &used, &n);

	if (r != CHUNK_BAD && c->receiving &&
	    c->chunk.left > exchange_max_body(c->receiving))
		exchange_refuse_size(c->receiving, c->chunk.left);
	switch (r) {
	case CHUNK_DATA:
		deliver(c, bytes + used - n, n);
		break;
	case CHUNK_END:
		end_body(c);
		break;
	case CHUNK_BAD:
		if (c->receiving)
			fail(c, c->receiving, 400, "The chunked body is malformed.");
		else
			stop_listening(c);
		break;
	}
	return used;
}

/* "100 Continue" leaves before the answer to @x and after those of the requests before. */
static void invite_body(struct connection *c, struct exchange *x)
{
	struct exchange *interim = exchange_new(c);

	STAILQ_REMOVE(&c->queue, x, exchange, queue);
	STAILQ_INSERT_TAIL(&c->queue, x, queue);
	x->expects = false;
	exchange_interim(interim);
}

static bool is_continue(struct span expect)
{
	return expect.size == 12 && strncasecmp(expect.at, "100-continue", 12) == 0;
}

static void prepare_sink(struct exchange *x, const struct head *h)
{
	if (x->plan.sink == SINK_INFER)
		v2_receive(x, h);
	else if (x->plan.sink == SINK_COLLECT)
		exchange_keep(x, h);
}

/* The plan is made: shall the body come? */
static void accept_request(struct connection *c, struct exchange *x, const struct head *h)
{
	bool has_body = c->state == CONNECTION_BODY || c->state == CONNECTION_CHUNKED;

	x->expects = has_body && h->expect.at && h->minor > 0;
	if (x->plan.status)
		exchange_refuse(x, x->plan.status, x->plan.sentence);
	else if (x->expects && !is_continue(h->expect))
		exchange_refuse(x, 417, "The only expectation known is \"100-continue\".");
	else if (!h->chunked && h->length > exchange_max_body(x))
		exchange_refuse_size(x, h->length);
	else
		prepare_sink(x, h);
	if (c->receiving != x)
		return;
	if (x->expects)
		invite_body(c, x);
	if (!has_body)
		end_body(c);
}

static void take_request(struct connection *c, const char *bytes)
{
	struct head *h = &c->in->head;
	struct exchange *x;
	const char *why;
	int status = head_parse(h, &c->gate, bytes, &why);

	if (status) {
		fail(c, NULL, status, why);
		return;
	}
	x = exchange_new(c);
	x->minor = h->minor;
	x->head_only = h->method == HTTP_HEAD;
	x->close = c->last = !h->keep_alive;
	c->receiving = x;
	c->handled++;
	c->dropped = 0;
	c->body_left = h->length;
	c->chunk = (struct chunk)CHUNK_NULL;
	progress(c);
	next_request(c);
	if (h->chunked)
		c->state = CONNECTION_CHUNKED;
	else if (h->length)
		c->state = CONNECTION_BODY;
	route_plan(c->in, x, h, &x->plan);
	accept_request(c, x, h);
}

/* 0: the head isn't whole. */
static size_t take_head(struct connection *c, const char *bytes, size_t size)
{
	const char *why;
	int r = gate_head(&c->gate, bytes, size, &why);
	size_t used = c->gate.at;

	if (r == GATE_MORE)
		return 0;
	if (r == GATE_WHOLE) {
		take_request(c, bytes);
		return used;
	}
	fail(c, NULL, r, why);
	return size;
}

static bool is_full(const struct connection *c)
{
	return c->n_exchanges >= MAX_QUEUE || c->unsent >= MAX_UNSENT || c->handled >= MAX_TURN;
}

/* Returns how many bytes are done with. */
static size_t take(struct connection *c, const char *bytes, size_t size)
{
	size_t used = 0, n;

	while (used < size) {
		switch (c->state) {
		case CONNECTION_HEAD:
			n = is_full(c) ? 0 : take_head(c, bytes + used, size - used);
			if (!n)
				return used;
			break;
		case CONNECTION_BODY:
			n = take_body(c, bytes + used, size - used);
			break;
		case CONNECTION_CHUNKED:
			n = take_chunks(c, bytes + used, size - used);
			break;
		default:
			c->unread = true;
			return size;
		}
		used += n;
	}
	return used;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret);
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void set_reading(struct connection *c, bool reading)
{
	if (c->reading == reading || c->closed)
		return;
	c->reading = reading;
	if (reading)
		uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	else
		uv_read_stop((uv_stream_t *)&c->tcp);
}

/* Understand what is pending and then the @size bytes; what is left over is pending. */
static void receive(struct connection *c, const char *bytes, size_t size)
{
	struct buffer *p = &c->pending;

	if (p->size) {
		buffer_append(p, bytes, size);
		buffer_consume(p, take(c, p->data, p->size));
	} else {
		size_t used = take(c, bytes, size);

		if (used < size)
			progress(c);
		buffer_append(p, bytes + used, size - used);
	}
	if (!p->size && p->room > KEEP_PENDING)
		buffer_fini(p);
	c->paused = p->size && c->state == CONNECTION_HEAD && is_full(c);
	set_reading(c, !c->paused && !c->ended);
}

/* The kernel has put @size bytes of the body where they belong. */
static void receive_direct(struct connection *c, size_t size)
{
	c->body_left -= size;
	progress(c);
	exchange_filled(c->receiving, size);
	if (!c->body_left && c->state == CONNECTION_BODY)
		end_body(c);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct connection *c = (struct connection *)handle;
	size_t size = 0;
	void *to;

	(void)suggested;
	c->direct = c->state == CONNECTION_BODY && c->receiving && !c->pending.size &&
		    exchange_room(c->receiving, &to, &size);
	if (!c->direct) {
		*ret = uv_buf_init(c->in->bytes, sizeof(c->in->bytes));
		return;
	}
	if (size > c->body_left)
		size = (size_t)c->body_left;
	if (size > INGRESS_READ_SIZE)
		size = INGRESS_READ_SIZE;
	*ret = uv_buf_init(to, (unsigned)size);
}

/*
 * The client sends no more. What it asked for is still answered, but not what it didn't
 * finish asking; and nobody reads a stream for ever who has closed his side.
 */
static void end_reading(struct connection *c)
{
	struct exchange *x = c->receiving;

	c->ended = true;
	c->receiving = NULL;
	c->state = CONNECTION_DEAF;
	set_reading(c, false);
	if (x) {
		STAILQ_REMOVE(&c->queue, x, exchange, queue);
		c->n_exchanges--;
		exchange_free(x);
	}
	STAILQ_FOREACH(x, &c->queue, queue)
		if (x->state == EXCHANGE_STREAMING)
			c->broken = true;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct connection *c = (struct connection *)stream;

	c->busy = true;
	c->handled = 0;
	if (n == UV_EOF)
		end_reading(c);
	else if (n < 0)
		c->broken = true;
	else if (n > 0 && c->lingering)
		progress(c);
	else if (n > 0 && c->direct)
		receive_direct(c, (size_t)n);
	else if (n > 0)
		receive(c, buf->base, (size_t)n);
	c->busy = false;
	settle(c);
}

/* closing */

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
	c->linger_ms = uv_now(c->in->loop);
	progress(c);
	set_reading(c, true);
}

static void settle(struct connection *c)
{
	if (c->closed)
		return;
	flush(c);
	if (c->broken) {
		connection_close(c);
	} else if (c->state == CONNECTION_DEAF && STAILQ_EMPTY(&c->queue)) {
		if (!c->unread || c->ended)
			connection_close(c);
		else if (!c->lingering)
			linger(c);
	} else if (c->paused && c->n_exchanges <= MAX_QUEUE / 2 && c->unsent < MAX_UNSENT) {
		make_due(c);
	}
}

void connection_turn(struct connection *c)
{
	c->is_due = false;
	c->busy = true;
	c->handled = 0;
	if (c->paused)
		receive(c, NULL, 0);
	c->busy = false;
	settle(c);
}

bool connection_is_idle(const struct connection *c)
{
	return c->state == CONNECTION_HEAD && STAILQ_EMPTY(&c->queue) && !c->pending.size;
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

static void time_out(struct connection *c)
{
	if (c->receiving)
		fail(c, c->receiving, 408, "The request's body didn't come for 5 seconds.");
	else
		fail(c, NULL, 408, "The request's head didn't come within 10 seconds.");
	settle(c);
}

static bool has_stalled(struct connection *c, uint64_t idle)
{
	size_t left = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);

	if (left != c->write_left)
		progress(c);
	c->write_left = left;
	return idle > WRITE_MS;
}

void connection_tick(struct connection *c, uint64_t now_ms)
{
	uint64_t idle = now_ms - c->since_ms;

	if (c->lingering) {
		if (idle > LINGER_MS || now_ms - c->linger_ms > LINGER_TOTAL_MS)
			connection_close(c);
	} else if (c->writing) {
		if (has_stalled(c, idle))
			connection_close(c);
	} else if (c->receiving) {
		if (idle > BODY_MS)
			time_out(c);
	} else if (c->state == CONNECTION_HEAD && c->pending.size && !c->paused) {
		if (idle > HEAD_MS)
			time_out(c);
	} else if (STAILQ_EMPTY(&c->queue) && idle > IDLE_MS) {
		connection_close(c);
	}
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

int connection_accept(struct ingress *in, uv_stream_t *listener)
{
	struct connection *c = xcalloc(1, sizeof(*c));
	int r;

	c->in = in;
	STAILQ_INIT(&c->queue);
	TAILQ_INSERT_TAIL(&in->connections, c, siblings);
	in->n_connections++;
	in->n_handles++;
	uv_tcp_init(in->loop, &c->tcp);
	progress(c);
	r = uv_accept(listener, (uv_stream_t *)&c->tcp);
	if (r < 0)
		connection_close(c);
	else
		set_reading(c, true);
	return r;
}
