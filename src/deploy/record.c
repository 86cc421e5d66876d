/* SPDX-License-Identifier: MIT */

/*
 * Record
 *
 * Offers what has been answered to the deployment's recorder. A small call is copied here, which
 * takes less than a microsecond; a large one by a thread of libuv's, and the batch, with
 * its inputs, stays meanwhile, as it does for a client that still takes its outputs. Of what a worker
 * wrote nothing is believed but what outputs.c has checked.
 */

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "deploy/internal.h"
#include "infer/signature.h"

#define SMALL (128 * 1024) /* copied at once */

/* A large call that is being copied. They are kept: in the long run none is allocated. */
struct copying {
	uv_work_t work;
	struct copying *next; /* in deploy.free_copyings */
	struct batch *batch;
	struct recorded *to;
	struct recorder_call call;
};

static void describe_outputs(const struct batch *b, struct recorder_call *c)
{
	for (uint32_t i = 0; i < c->n_out; i++) {
		const struct known_output *o = &b->outputs[i];
		struct call_tensor *t = &c->tensors[c->n_in + i];

		*t = (struct call_tensor){ .offset = o->offset, .size = o->size, .rank = o->rank,
					   .dtype = b->signature->outputs[i].dtype };
		memcpy(t->shape, o->shape, o->rank * sizeof(*t->shape));
	}
}

static void describe(const struct batch *b, uint64_t kind, uint64_t compute_ns, struct recorder_call *ret)
{
	ret->base = b->arena->base;
	ret->signature = b->signature;
	ret->kind = kind;
	ret->compute_ns = compute_ns;
	ret->generation = b->generation;
	ret->batch = b->signature->max_batch_size ? b->rows : 1;
	ret->n_in = b->signature->n_inputs;
	ret->n_out = b->signature->n_outputs;
	batch_inputs(b, ret->tensors);
	describe_outputs(b, ret);
}

static void on_copy(uv_work_t *work)
{
	struct copying *c = work->data;

	recorder_copy(&c->batch->deployment->recorder, c->to, &c->call);
}

static void on_copied(uv_work_t *work, int status)
{
	struct copying *c = work->data;

	(void)status; /* nobody cancels it */
	recorder_keep(&c->batch->deployment->recorder, c->to);
	c->next = c->batch->deployment->deploy->free_copyings;
	c->batch->deployment->deploy->free_copyings = c;
	batch_drop_user(c->batch);
}

static struct copying *copying_new(struct deploy *d)
{
	struct copying *c = d->free_copyings;

	if (c)
		d->free_copyings = c->next;
	return c ? c : xmalloc(sizeof(*c));
}

void record_close(struct deploy *d)
{
	struct copying *c;

	while ((c = d->free_copyings)) {
		d->free_copyings = c->next;
		free(c);
	}
}

static void copy_later(struct batch *b, struct recorded *to, const struct recorder_call *call)
{
	struct copying *c = copying_new(b->deployment->deploy);

	c->work.data = c;
	c->batch = b;
	c->to = to;
	c->call = *call;
	batch_keep(b);
	uv_queue_work(b->deployment->deploy->hub->loop, &c->work, on_copy, on_copied);
}

/* Once: its author can do something about it. */
static void tell_too_large(struct deployment *d, uint32_t generation)
{
	const struct deploy_callbacks *cb = &d->deploy->cb;

	if (cb->unrecorded)
		cb->unrecorded(cb->context, d->name, generation, d->recorder.too_large);
}

void record_offer(struct batch *b, uint64_t compute_ns)
{
	struct recorder *r = &b->deployment->recorder;
	bool told = r->too_large;
	struct recorder_call c;
	struct recorded *to;
	uint64_t kind;

	if (!recorder_listens(r, b->submitted_ns) || !batch_is_whole(b))
		return;
	kind = recorder_kind(b->members[0].request->inputs, b->signature->n_inputs,
			     b->signature->max_batch_size ? b->rows : 0);
	if (!recorder_wants(r, b->signature, kind))
		return;
	describe(b, kind, compute_ns, &c);
	if (!recorder_has_room_for(r, &c)) {
		if (!told)
			tell_too_large(b->deployment, b->generation);
		return;
	}
	to = recorder_reserve(r, &c);
	if (!to)
		return;
	if (recorder_call_size(&c) > SMALL) {
		copy_later(b, to, &c);
		return;
	}
	recorder_copy(r, to, &c);
	recorder_keep(r, to);
}
