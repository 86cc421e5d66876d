/* SPDX-License-Identifier: MIT */

/*
 * zlib makes 50 to 200 MB/s, so a large answer would stop the loop for longer than all its
 * clients accept: it is packed in slices, one a turn, in turn with those of others. At most
 * MAX_ACTIVE are under way at once, because of the memory that each takes. The answer is
 * packed whole before its head is sent, which has its length; outputs go back to deploy then.
 *
 * Weights and noise don't get smaller. What hasn't after the first slice is sent as it is,
 * unless the client won't take that.
 */

#include "ingress/packing.h"

#include "ingress/coders.h"
#include "ingress/connection.h"
#include "ingress/exchange.h"
#include "ingress/listener.h"
#include "ingress/pack.h"

#define MIN_SIZE 128 /* what is smaller is one packet anyway */
#define SLICE 65536
#define MAX_ACTIVE 8

void packing_queue_init(struct packing_queue *q)
{
	TAILQ_INIT(&q->active);
	TAILQ_INIT(&q->waiting);
	q->n_active = 0;
}

static void enlist(struct exchange *x, struct packings *list)
{
	TAILQ_INSERT_TAIL(list, x, packing.entry);
	x->packing.list = list;
}

static void unlist(struct exchange *x)
{
	struct packing_queue *q = &x->c->in->packing;
	struct packings *list = x->packing.list;

	if (!list)
		return;
	TAILQ_REMOVE(list, x, packing.entry);
	x->packing.list = NULL;
	if (list == &q->active)
		q->n_active--;
}

void packing_stop(struct exchange *x)
{
	struct packing *p = &x->packing;

	unlist(x);
	p->pack = coders_give_pack(&x->c->in->coders, p->pack);
}

static void send_plain(struct exchange *x)
{
	packing_stop(x);
	exchange_recycle(&x->packing.out);
	if (x->must_pack)
		exchange_refuse(x, 503, "There is no memory for packing the answer now, and Accept-Encoding takes "
					"no other.");
	else
		exchange_send(x, &x->packing.answer);
}

static void send_packed(struct exchange *x)
{
	struct packing *p = &x->packing;
	struct buffer plain = x->out;

	packing_stop(x);
	x->out = p->out;
	p->out = plain;
	x->n_iov = 0;
	exchange_release_outputs(x);
	exchange_recycle(&p->out);
	p->answer.coding = coding_name(x->coding);
	exchange_send(x, &p->answer);
}

static bool begin(struct exchange *x)
{
	struct packing *p = &x->packing;

	p->pack = coders_take_pack(&x->c->in->coders, x->coding);
	p->out.size = 0;
	buffer_reserve(&p->out, RESPONSE_MAX_HEAD);
	buffer_grow(&p->out, RESPONSE_MAX_HEAD);
	p->at = 0;
	p->offset = p->taken = 0;
	return p->pack;
}

/* The next piece, of *@left bytes at most. Returns whether it was the last. */
static bool add_piece(struct exchange *x, size_t *left)
{
	struct packing *p = &x->packing;
	const struct iovec json = { x->out.data + RESPONSE_MAX_HEAD, x->out.size - RESPONSE_MAX_HEAD };
	struct iovec part = p->at ? x->iov[p->at - 1] : json;
	size_t n = part.iov_len - p->offset < *left ? part.iov_len - p->offset : *left;
	bool ends = p->offset + n == part.iov_len, last = ends && p->at == x->n_iov;

	pack_add(p->pack, (const char *)part.iov_base + p->offset, n, last, &p->out);
	p->offset = ends ? 0 : p->offset + n;
	p->at += ends;
	p->taken += n;
	*left -= n;
	return last;
}

static bool has_paid(const struct exchange *x)
{
	return x->must_pack || x->packing.out.size - RESPONSE_MAX_HEAD < x->packing.taken;
}

/* Returns whether @x is answered. */
static bool go_on(struct exchange *x)
{
	size_t left = SLICE;
	bool last;

	do
		last = add_piece(x, &left);
	while (!last && left);
	if (!has_paid(x)) {
		send_plain(x);
		return true;
	}
	if (last)
		send_packed(x);
	return last;
}

/* Both the answer and what becomes of it, which is no larger. */
static bool charge(struct exchange *x)
{
	return infer_request_charge(&x->r, x->out.room + exchange_unsent(x)) == 0;
}

static void activate(struct packing_queue *q)
{
	struct exchange *x;

	while (q->n_active < MAX_ACTIVE && (x = TAILQ_FIRST(&q->waiting))) {
		unlist(x);
		if (!charge(x) || !begin(x)) {
			send_plain(x);
			continue;
		}
		enlist(x, &q->active);
		q->n_active++;
	}
}

bool packing_turn(struct ingress *in)
{
	struct packing_queue *q = &in->packing;
	struct exchange *x;

	activate(q);
	x = TAILQ_FIRST(&q->active);
	if (x && !go_on(x)) {
		TAILQ_REMOVE(&q->active, x, packing.entry);
		TAILQ_INSERT_TAIL(&q->active, x, packing.entry);
	}
	return !TAILQ_EMPTY(&q->active) || !TAILQ_EMPTY(&q->waiting);
}

void packing_send(struct exchange *x, const struct response *r)
{
	struct ingress *in = x->c->in;
	size_t size = exchange_unsent(x) - RESPONSE_MAX_HEAD;

	x->packing.answer = *r;
	x->packing.answer.packable = in->options.compression > 0;
	if (x->coding == CODING_IDENTITY || (size < MIN_SIZE && !x->must_pack)) {
		exchange_send(x, &x->packing.answer);
	} else if (size > SLICE) {
		enlist(x, &in->packing.waiting);
		ingress_wake(in);
	} else if (begin(x)) {
		go_on(x);
	} else {
		send_plain(x);
	}
}
