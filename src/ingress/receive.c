/* SPDX-License-Identifier: MIT */

/*
 * Bytes come into one buffer that all connections share and are understood right there;
 * only what can't be (half a head, requests beyond the limits) is copied to the
 * connection's `pending`, and then reading stops or is bounded by the size of a head. The
 * body of an inference is the exception: once its first bytes have told where it belongs,
 * libuv reads straight to that place (on_alloc), and the parser never sees it.
 *
 * Limits. A connection that sends requests and takes no answers stops being read at
 * RECEIVE_MAX_QUEUE unanswered requests or RECEIVE_MAX_UNSENT bytes; one that sends many at
 * once gives way to the others after MAX_TURN of them. What it has sent already waits in
 * `pending`, and is looked at again in the connection's turn.
 */

#include "ingress/receive.h"

#include <strings.h>

#include "ingress/body.h"
#include "ingress/connection.h"
#include "ingress/exchange.h"
#include "ingress/listener.h"
#include "ingress/route.h"
#include "ingress/v2.h"

#define MAX_TURN 32
#define MAX_DROP (1024 * 1024) /* bytes of an unwanted body that are read to keep the connection */
#define KEEP_PENDING 4096

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

void receive_fail(struct connection *c, struct exchange *x, int status, const char *sentence)
{
	stop_listening(c);
	if (!x) {
		x = exchange_new(c);
		x->head_only = c->gate.is_head;
	}
	x->close = true;
	exchange_refuse(x, status, sentence);
}

bool receive_drop(struct connection *c, struct exchange *x)
{
	c->receiving = NULL;
	if (c->state != CONNECTION_BODY && c->state != CONNECTION_CHUNKED)
		return true;
	if (!x->expects && (c->state == CONNECTION_CHUNKED ? c->chunk.left : c->body_left) <= MAX_DROP)
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
		body_end(x);
}

/* Returns how many are taken: fewer than @size where the body is behind. */
static size_t deliver(struct connection *c, const char *bytes, size_t size)
{
	size_t used = size;

	if (c->receiving)
		used = body_take(c->receiving, bytes, size);
	else if ((c->dropped += size) > MAX_DROP)
		stop_listening(c);
	patience_came(c, used);
	return used;
}

static bool is_behind(const struct connection *c)
{
	return c->receiving && body_is_behind(c->receiving);
}

static void end_body_if_whole(struct connection *c)
{
	if (!c->body_left && c->state == CONNECTION_BODY && !is_behind(c))
		end_body(c);
}

static size_t take_body(struct connection *c, const char *bytes, size_t size)
{
	size_t used;

	if (size > c->body_left)
		size = (size_t)c->body_left;
	c->body_left -= size;
	used = deliver(c, bytes, size);
	c->body_left += size - used;
	end_body_if_whole(c);
	return used;
}

/* Without a new byte. Returns whether new ones may be looked at. */
static bool catch_up(struct connection *c)
{
	if (!is_behind(c))
		return true;
	deliver(c, NULL, 0);
	end_body_if_whole(c);
	return !is_behind(c);
}

static void fail_body(struct connection *c, int status, const char *sentence)
{
	if (c->receiving)
		receive_fail(c, c->receiving, status, sentence);
	else
		stop_listening(c);
}

static size_t take_chunks(struct connection *c, const char *bytes, size_t size)
{
	size_t used, n = 0;
	int r = chunk_decode(&c->chunk, bytes, size, &used, &n);

	if (r < CHUNK_BAD && c->receiving &&
	    c->chunk.left > body_max(c->receiving))
		body_refuse_size(c->receiving, c->chunk.left);
	switch (r) {
	case CHUNK_DATA:
		n -= deliver(c, bytes + used - n, n);
		chunk_unread(&c->chunk, n);
		used -= n;
		break;
	case CHUNK_END:
		end_body(c);
		break;
	case CHUNK_BAD:
		fail_body(c, 400, "The chunked body is malformed.");
		break;
	case CHUNK_LIMIT:
		fail_body(c, 413, "The chunked body has more than 65,536 chunks, or more than 16 KiB of "
				  "extensions and trailers: send larger chunks, or Content-Length.");
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
	enum coding coding = coding_of(h->content_encoding);

	x->expects = has_body && h->expect.at && h->minor > 0;
	if (x->plan.status == 204)
		exchange_allow(x);
	else if (x->plan.status)
		exchange_refuse(x, x->plan.status, x->plan.sentence);
	else if (has_body && coding == CODING_UNKNOWN)
		exchange_refuse(x, 501, "Unsupported compression type: a body may come as gzip, deflate or "
					"identity.");
	else if (x->expects && !is_continue(h->expect))
		exchange_refuse(x, 417, "The only expectation known is \"100-continue\".");
	else if (!h->chunked && h->length > body_max(x))
		body_refuse_size(x, h->length);
	else
		prepare_sink(x, h);
	if (c->receiving == x && has_body)
		body_begin(x, coding);
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
		receive_fail(c, NULL, status, why);
		return;
	}
	x = exchange_new(c);
	x->minor = h->minor;
	x->head_only = h->method == METHOD_HEAD;
	x->close = c->last = !h->keep_alive;
	c->receiving = x;
	c->handled++;
	c->dropped = 0;
	c->body_left = h->length;
	c->chunk = (struct chunk)CHUNK_NULL;
	patience_begin(c);
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
	receive_fail(c, NULL, r, why);
	return size;
}

static bool is_full(const struct connection *c)
{
	return c->n_exchanges >= RECEIVE_MAX_QUEUE || c->unsent >= RECEIVE_MAX_UNSENT || c->handled >= MAX_TURN;
}

/* Returns how many bytes are done with. */
static size_t take(struct connection *c, const char *bytes, size_t size)
{
	size_t used = 0, n;

	if (!catch_up(c))
		return 0;
	while (used < size && !is_behind(c)) {
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

void receive_set(struct connection *c, bool reading)
{
	if (c->reading == reading || c->closed)
		return;
	c->reading = reading;
	if (reading)
		uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	else
		uv_read_stop((uv_stream_t *)&c->tcp);
}

void receive_bytes(struct connection *c, const char *bytes, size_t size)
{
	struct buffer *p = &c->pending;

	if (p->size) {
		buffer_append(p, bytes, size);
		buffer_consume(p, take(c, p->data, p->size));
	} else {
		size_t used = take(c, bytes, size);

		if (used < size)
			patience_begin(c);
		buffer_append(p, bytes + used, size - used);
	}
	if (!p->size && p->room > KEEP_PENDING)
		buffer_fini(p);
	c->paused = is_behind(c) || (p->size && c->state == CONNECTION_HEAD && is_full(c));
	receive_set(c, !c->paused && !c->ended);
}

/* The kernel has put @size bytes of the body where they belong. */
static void receive_direct(struct connection *c, size_t size)
{
	c->body_left -= size;
	patience_came(c, size);
	body_filled(c->receiving, size);
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
		    body_room(c->receiving, &to, &size);
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
 * finish asking. Who waits for something that may never come (a stream, an answer put off by
 * its handler) and closes his side has left: else nothing would ever tell.
 */
static void end_reading(struct connection *c)
{
	struct exchange *x = c->receiving;

	c->ended = true;
	c->receiving = NULL;
	c->state = CONNECTION_DEAF;
	receive_set(c, false);
	patience_begin(c);
	if (x) {
		STAILQ_REMOVE(&c->queue, x, exchange, queue);
		c->n_exchanges--;
		exchange_free(x);
	}
	STAILQ_FOREACH(x, &c->queue, queue)
		if (x->on_gone)
			c->broken = true;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct connection *c = (struct connection *)stream;

	c->busy = true;
	c->handled = c->unpacked = 0;
	if (n == UV_EOF)
		end_reading(c);
	else if (n < 0)
		c->broken = true;
	else if (n > 0 && c->lingering)
		patience_came(c, (uint64_t)n);
	else if (n > 0 && c->direct)
		receive_direct(c, (size_t)n);
	else if (n > 0)
		receive_bytes(c, buf->base, (size_t)n);
	c->busy = false;
	connection_settle(c);
}
