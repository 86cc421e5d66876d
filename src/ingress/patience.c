/* SPDX-License-Identifier: MIT */

/*
 * A client that is slow on purpose pays nothing and holds a place, a body half received, an
 * answer half sent. For each of these there is a longest silence, and a least rate, because
 * a byte now and then would break every silence. A head has one limit for all of it.
 *
 * What the client has taken of an answer isn't what the kernel has taken of us: its buffer
 * holds megabytes, and libuv hears of room in it only when a third is free. So the bytes that
 * the other side hasn't acknowledged yet are asked for (SIOCOUTQ), else a slow but honest
 * reader would look like one that has stopped.
 *
 * Time counts only while the client is to blame: not for a body whose request waits behind
 * the answers to others (it may have been told to wait for "100 Continue"), nor for what
 * we ourselves put off.
 */

#include "ingress/patience.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "base/buffer.h"
#include "ingress/connection.h"
#include "ingress/exchange.h"
#include "ingress/listener.h"
#include "ingress/receive.h"
#include "ingress/send.h"

#define LINGER_MS 2000
#define LINGER_TOTAL_MS 30000
#define YIELD_MS 1000
#define PROBE_MS 500

static const struct patience *patience_of(const struct connection *c)
{
	return &c->in->options.patience;
}

/* Bytes of answers that the client hasn't got. */
static uint64_t untaken(const struct connection *c)
{
	int queued = 0;
	uv_os_fd_t fd;

	if (uv_fileno((const uv_handle_t *)&c->tcp, &fd) == 0)
		ioctl(fd, SIOCOUTQ, &queued);
	return uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp) + (uint64_t)queued;
}

void patience_begin(struct connection *c)
{
	uint64_t now = uv_now(c->in->loop);

	c->coming = (struct pace){ .begun_ms = now, .since_ms = now };
}

void patience_came(struct connection *c, uint64_t bytes)
{
	c->coming.since_ms = uv_now(c->in->loop);
	c->coming.moved += bytes;
}

void patience_begin_write(struct connection *c)
{
	uint64_t now = uv_now(c->in->loop);

	c->going = (struct pace){ .begun_ms = now, .since_ms = now };
	c->untaken = untaken(c);
}

static bool has_stalled(const struct pace *p, uint64_t now_ms, unsigned limit_ms)
{
	return now_ms - p->since_ms > limit_ms;
}

static bool is_too_slow(const struct pace *p, uint64_t now_ms, unsigned limit_ms, unsigned min_rate)
{
	uint64_t grace = 2 * (uint64_t)limit_ms, elapsed = now_ms - p->begun_ms;

	return elapsed > grace && p->moved * 1000 < (elapsed - grace) * min_rate;
}

/* @format has one number. */
__attribute__((format(printf, 2, 0)))
static void refuse(struct connection *c, const char *format, unsigned number)
{
	struct buffer *b = &c->in->sentence;

	buffer_reset(b);
	buffer_printf(b, format, number);
	receive_fail(c, c->receiving, 408, buffer_text(b));
	connection_settle(c);
}

static void tick_head(struct connection *c, uint64_t now_ms)
{
	if (now_ms - c->coming.begun_ms > patience_of(c)->head_ms)
		refuse(c, "The request's head didn't come within %u seconds (--head-timeout).",
		       patience_of(c)->head_ms / 1000);
}

/* Of one that nobody wants, too. */
static void tick_body(struct connection *c, uint64_t now_ms)
{
	const struct patience *p = patience_of(c);
	bool stalled = has_stalled(&c->coming, now_ms, p->body_ms);

	if (c->receiving && c->receiving != STAILQ_FIRST(&c->queue))
		patience_begin(c);
	else if (!stalled && !is_too_slow(&c->coming, now_ms, p->body_ms, p->min_rate))
		return;
	else if (!c->receiving)
		connection_close(c);
	else if (stalled)
		refuse(c, "Nothing of the request's body came for %u seconds (--body-timeout).",
		       p->body_ms / 1000);
	else
		refuse(c, "The request's body comes too slowly: in the long run it must bring %u bytes a "
			  "second (--min-rate).", p->min_rate);
}

static void tick_send(struct connection *c, uint64_t now_ms)
{
	const struct patience *p = patience_of(c);
	uint64_t left = untaken(c);

	if (left < c->untaken) {
		c->going.since_ms = now_ms;
		c->going.moved += c->untaken - left;
	}
	c->untaken = left;
	if (has_stalled(&c->going, now_ms, p->send_ms) ||
	    is_too_slow(&c->going, now_ms, p->send_ms, p->min_rate))
		connection_reset(c);
}

static void tick_linger(struct connection *c, uint64_t now_ms)
{
	if (has_stalled(&c->coming, now_ms, LINGER_MS) || now_ms - c->coming.begun_ms > LINGER_TOTAL_MS)
		connection_close(c);
}

/*
 * A client that closes its side may have gone, or wait for its answer: TCP says the same of
 * both. A few bytes that mean nothing tell: who has gone resets the connection, which the next
 * ones notice. Until then its calls would be computed for nobody.
 */
static void tick_ended(struct connection *c, uint64_t now_ms)
{
	uint64_t elapsed = now_ms - c->coming.begun_ms;

	if (elapsed < c->probe_ms)
		return;
	c->probe_ms = elapsed < PROBE_MS ? PROBE_MS : 2 * elapsed;
	if (!send_probe(c))
		connection_close(c);
}

static void tick_coming(struct connection *c, uint64_t now_ms)
{
	if (c->lingering)
		tick_linger(c, now_ms);
	else if (c->ended)
		tick_ended(c, now_ms);
	else if (c->paused)
		patience_begin(c);
	else if (c->state == CONNECTION_BODY || c->state == CONNECTION_CHUNKED)
		tick_body(c, now_ms);
	else if (c->state == CONNECTION_HEAD && c->pending.size)
		tick_head(c, now_ms);
	else if (STAILQ_EMPTY(&c->queue) && has_stalled(&c->coming, now_ms, patience_of(c)->idle_ms))
		connection_close(c);
}

void patience_tick(struct connection *c, uint64_t now_ms)
{
	if (c->writing)
		tick_send(c, now_ms);
	if (!c->closed)
		tick_coming(c, now_ms);
}

bool patience_yields(const struct connection *c, uint64_t now_ms)
{
	return c->state == CONNECTION_HEAD && STAILQ_EMPTY(&c->queue) &&
	       has_stalled(&c->coming, now_ms, YIELD_MS);
}
