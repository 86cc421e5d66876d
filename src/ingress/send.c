/* SPDX-License-Identifier: MIT */

/*
 * Answers leave in the order of the requests. What is complete at the head of the queue is
 * gathered into one write. Nothing is copied for it: the parts are the buffers of the
 * exchanges and the outputs in shared memory, and an exchange stays in the queue until its
 * last byte has gone. What the kernel doesn't take at once is left to uv_write(); until that
 * has ended the gathered exchanges don't change and nothing else is written.
 */

#include "ingress/send.h"

#include "ingress/connection.h"
#include "ingress/exchange.h"
#include "ingress/listener.h"

#define N_PARTS 64

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
	if (STAILQ_EMPTY(&c->queue) && !c->pending.size)
		patience_begin(c);
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
	connection_settle(c);
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
	if (uv_write(&c->write, (uv_stream_t *)&c->tcp, parts + at, n - at, on_written) < 0) {
		c->writing = false;
		c->broken = true;
		return;
	}
	patience_begin_write(c);
}

void send_answers(struct connection *c)
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

bool send_probe(struct connection *c)
{
	const uv_buf_t probe = uv_buf_init((char *)RESPONSE_CONTINUE, sizeof(RESPONSE_CONTINUE) - 1);
	const struct exchange *x = STAILQ_FIRST(&c->queue);
	int r;

	if (c->writing || !x || x->state != EXCHANGE_RUNNING || x->minor == 0)
		return true;
	r = uv_try_write((uv_stream_t *)&c->tcp, &probe, 1);
	return r == (int)probe.len || r == UV_EAGAIN;
}
