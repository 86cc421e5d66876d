/* SPDX-License-Identifier: MIT */

/*
 * Exchanges are pooled: each carries an infer request and buffers that have found their
 * size, so a request in steady state allocates nothing. The head of an answer is written
 * last, into room that was left free before the body, because only then its length is
 * known; head and JSON are one piece for the kernel.
 */

#include "ingress/exchange.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "deploy/handle.h"
#include "ingress/coders.h"
#include "ingress/connection.h"
#include "ingress/http1.h"
#include "ingress/listener.h"
#include "ingress/receive.h"

#define KEEP_ROOM 65536 /* a buffer that has grown beyond is not kept in the pool */

struct exchange *exchange_new(struct connection *c)
{
	struct ingress *in = c->in;
	struct exchange *x = SLIST_FIRST(&in->pool);

	if (x) {
		SLIST_REMOVE_HEAD(&in->pool, pool);
		in->n_pool--;
	} else {
		x = xcalloc(1, sizeof(*x));
	}
	x->c = c;
	x->minor = 1;
	STAILQ_INSERT_TAIL(&c->queue, x, queue);
	c->n_exchanges++;
	return x;
}

void exchange_release_outputs(struct exchange *x)
{
	void (*on_sent)(void *context) = x->on_sent;

	if (x->borrowed)
		handle_release(x->handle, &x->r);
	x->borrowed = false;
	x->on_sent = NULL;
	if (on_sent)
		on_sent(x->sent_context);
}

static void leave_deploy(struct exchange *x)
{
	if (x->submitted)
		handle_cancel(x->handle, &x->r);
	exchange_release_outputs(x);
	if (x->has_request)
		infer_request_fini(&x->r);
	x->submitted = x->has_request = false;
	if (x->handle)
		x->handle = handle_unref(x->handle);
}

static void tell_gone(struct exchange *x)
{
	void (*on_gone)(void *context) = x->on_gone;

	x->on_gone = NULL;
	if (on_gone)
		on_gone(x->gone_context);
}

void exchange_recycle(struct buffer *b)
{
	if (b->room > KEEP_ROOM)
		buffer_fini(b);
	else
		b->size = 0;
}

void exchange_discard(struct exchange *x)
{
	struct buffer *buffers[] = { &x->out, &x->more, &x->packing.out, &x->path, &x->query, &x->fields,
				     &x->body };

	for (size_t i = 0; i < ARRAY_SIZE(buffers); i++)
		buffer_fini(buffers[i]);
	free(x);
}

void exchange_free(struct exchange *x)
{
	struct ingress *in = x->c->in;

	tell_gone(x);
	leave_deploy(x);
	packing_stop(x);
	x->unpack = coders_give_unpack(&in->coders, x->unpack);
	if (in->n_pool >= INGRESS_POOL) {
		exchange_discard(x);
		return;
	}
	exchange_recycle(&x->out);
	exchange_recycle(&x->more);
	exchange_recycle(&x->packing.out);
	exchange_recycle(&x->path);
	exchange_recycle(&x->query);
	exchange_recycle(&x->fields);
	exchange_recycle(&x->body);
	x->state = EXCHANGE_RECEIVING;
	x->plan = (struct plan){ .sink = SINK_DROP };
	x->head_only = x->close = x->expects = x->chunked = x->deferred = false;
	x->origin = (struct span){ .at = NULL };
	x->received = x->unpacked = 0;
	x->behind = false;
	x->generation = 0;
	x->start = x->counted = 0;
	x->n_iov = x->iov_at = 0;
	SLIST_INSERT_HEAD(&in->pool, x, pool);
	in->n_pool++;
}

/* "name\0value\0" */
static void keep_pair(struct buffer *b, struct span name, struct span value)
{
	buffer_append(b, name.at, name.size);
	buffer_putc(b, '\0');
	buffer_append(b, value.at, value.size);
	buffer_putc(b, '\0');
}

static const char *find_pair(const struct buffer *b, const char *name)
{
	for (size_t at = 0; at < b->size; ) {
		const char *key = b->data + at, *value = key + strlen(key) + 1;

		if (strcasecmp(key, name) == 0)
			return value;
		at = (size_t)(value + strlen(value) + 1 - b->data);
	}
	return NULL;
}

void exchange_keep(struct exchange *x, const struct head *h)
{
	buffer_append(&x->path, h->target.path.at, h->target.path.size);
	target_decode_query(h->target.query, &x->query);
	for (unsigned i = 0; i < h->n_fields; i++)
		keep_pair(&x->fields, h->fields[i].name, h->fields[i].value);
}

struct buffer *exchange_begin(struct exchange *x)
{
	exchange_recycle(&x->out); /* an answer that came to nothing may have been large */
	x->start = 0;
	buffer_reserve(&x->out, RESPONSE_MAX_HEAD);
	buffer_grow(&x->out, RESPONSE_MAX_HEAD);
	x->out.data[RESPONSE_MAX_HEAD - 1] = '\n'; /* the body begins: JSON puts no comma */
	return &x->out;
}

static void complete(struct exchange *x, struct response *r)
{
	struct connection *c = x->c;

	if (c->receiving == x && !receive_drop(c, x))
		x->close = true;
	if (c->in->stopping && !STAILQ_NEXT(x, queue))
		x->close = true;
	r->minor = x->minor;
	r->close = x->close;
	r->origin = x->origin;
	r->vary = c->in->authority.origins != NULL;
	if (x->handle) {
		r->generation = x->generation ? x->generation : x->handle->generation;
		r->stale = x->handle->stale;
	}
	r->retry = r->status == 503 && !(x->handle && x->handle->no_device);
}

static void put_head(struct exchange *x, const struct response *r)
{
	struct preamble *p = &x->c->in->preamble;
	char head[RESPONSE_MAX_HEAD];
	size_t size;

	preamble_refresh(p, uv_now(x->c->in->loop));
	size = response_head(r, p, head);
	x->start = RESPONSE_MAX_HEAD - size;
	memcpy(x->out.data + x->start, head, size);
}

size_t exchange_unsent(const struct exchange *x)
{
	size_t n = x->out.size - x->start;

	for (int i = x->iov_at; i < x->n_iov; i++)
		n += x->iov[i].iov_len;
	return n;
}

void exchange_send(struct exchange *x, struct response *r)
{
	bool infer = x->plan.sink == SINK_INFER;

	complete(x, r);
	r->length = exchange_unsent(x) - RESPONSE_MAX_HEAD;
	if (r->status == 204 || r->status == 304)
		r->length = RESPONSE_NONE;
	if (x->head_only) {
		x->out.size = RESPONSE_MAX_HEAD;
		x->n_iov = 0;
	}
	put_head(x, r);
	x->on_gone = NULL;
	x->state = EXCHANGE_DONE;
	x->counted = exchange_unsent(x);
	x->c->unsent += x->counted;
	connection_answered(x->c, infer);
}

void exchange_refuse(struct exchange *x, int status, const char *sentence)
{
	struct response r = RESPONSE_NULL;
	struct buffer *b = exchange_begin(x);

	x->n_iov = 0;
	infer_error_encode(sentence, strlen(sentence), b);
	r.status = status;
	r.type = "application/json";
	r.allow = x->plan.allow;
	exchange_send(x, &r);
}

void exchange_allow(struct exchange *x)
{
	struct response r = RESPONSE_NULL;

	exchange_begin(x);
	r.status = 204;
	r.allow = x->plan.allow;
	exchange_send(x, &r);
}

void exchange_hang_up(struct exchange *x)
{
	tell_gone(x);
	exchange_end(x);
}

void exchange_interim(struct exchange *x)
{
	buffer_puts(&x->out, RESPONSE_CONTINUE);
	x->state = EXCHANGE_DONE;
	x->counted = exchange_unsent(x);
	x->c->unsent += x->counted;
	connection_answered(x->c, false);
}

/* handlers */

const char *exchange_path(const struct exchange *x)
{
	return buffer_text(&x->path);
}

const char *exchange_query(const struct exchange *x, const char *key)
{
	return find_pair(&x->query, key);
}

const char *exchange_header(const struct exchange *x, const char *name)
{
	return find_pair(&x->fields, name);
}

const char *exchange_body(const struct exchange *x, size_t *ret_size)
{
	*ret_size = x->body.size;
	return buffer_text(&x->body);
}

void exchange_respond(struct exchange *x, int status, const char *type, const void *body, size_t size)
{
	struct response r = RESPONSE_NULL;

	assert(x->state == EXCHANGE_RUNNING);
	buffer_append(exchange_begin(x), body, size);
	r.status = status;
	r.type = type;
	exchange_send(x, &r);
}

void exchange_respond_with(struct exchange *x, int status, const char *type, const struct buffer *body,
			   const struct iovec *parts, int n, void (*sent)(void *context), void *context)
{
	int copied = n > (int)ARRAY_SIZE(x->iov) ? n - (int)ARRAY_SIZE(x->iov) : 0;
	struct response r = RESPONSE_NULL;
	struct buffer *out;

	assert(x->state == EXCHANGE_RUNNING);
	out = exchange_begin(x);
	buffer_append(out, body->data, body->size);
	for (int i = 0; i < copied; i++)
		buffer_append(out, parts[i].iov_base, parts[i].iov_len);
	x->n_iov = n - copied;
	x->iov_at = 0;
	memcpy(x->iov, parts + copied, (size_t)x->n_iov * sizeof(*x->iov));
	x->on_sent = sent;
	x->sent_context = context;
	r.status = status;
	r.type = type;
	exchange_send(x, &r);
}

void exchange_defer(struct exchange *x, void (*on_gone)(void *context), void *context)
{
	x->deferred = true;
	x->on_gone = on_gone;
	x->gone_context = context;
}

void exchange_stream(struct exchange *x, const char *type, void (*on_gone)(void *context),
		     void *context)
{
	struct response r = RESPONSE_NULL;

	assert(x->state == EXCHANGE_RUNNING);
	exchange_defer(x, on_gone, context);
	exchange_begin(x);
	x->chunked = x->minor > 0 && !x->head_only;
	if (!x->chunked)
		x->close = true;
	complete(x, &r);
	r.status = 200;
	r.type = type;
	r.length = RESPONSE_NONE;
	r.chunked = x->chunked;
	r.no_store = true;
	put_head(x, &r);
	x->state = EXCHANGE_STREAMING;
	connection_answered(x->c, false);
}

static void put_chunk(struct buffer *b, const void *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	char line[18];
	size_t at = sizeof(line);
	size_t n = size;

	line[--at] = '\n';
	line[--at] = '\r';
	do {
		line[--at] = digits[n & 15];
		n >>= 4;
	} while (n);
	buffer_append(b, line + at, sizeof(line) - at);
	buffer_append(b, bytes, size);
	buffer_puts(b, "\r\n");
}

void exchange_write(struct exchange *x, const void *bytes, size_t size)
{
	if (x->state != EXCHANGE_STREAMING || !size || x->head_only)
		return;
	if (exchange_unsent(x) + x->more.size + size > EXCHANGE_MAX_STREAM) {
		x->c->broken = true;
	} else if (x->chunked) {
		put_chunk(&x->more, bytes, size);
	} else {
		buffer_append(&x->more, bytes, size);
	}
	connection_answered(x->c, false);
}

void exchange_end(struct exchange *x)
{
	if (x->state != EXCHANGE_STREAMING)
		return;
	if (x->chunked)
		buffer_puts(&x->more, "0\r\n\r\n");
	x->on_gone = NULL;
	x->state = EXCHANGE_DONE;
	connection_answered(x->c, false);
}
