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

/* Somebody has gone in the meantime: where the inputs of the others lie isn't known any more. */
static bool all_are_there(const struct batch *b)
{
	for (unsigned m = 0; m < b->n_members; m++)
		if (!b->members[m].request)
			return false;
	return true;
}

static uint64_t joined_size(const struct batch *b, uint32_t i)
{
	uint64_t size = 0;

	for (unsigned m = 0; m < b->n_members; m++)
		size += b->members[m].request->inputs[i].size;
	return size;
}

/* As batch.c placed them. */
static void describe_inputs(const struct batch *b, struct recorder_call *c)
{
	uint64_t at = batch_inputs_at(b);

	for (uint32_t i = 0; i < c->n_in; i++) {
		const struct tensor *first = &b->members[0].request->inputs[i];
		struct call_tensor *t = &c->tensors[i];

		*t = (struct call_tensor){ .rank = first->rank, .dtype = first->dtype, .size = joined_size(b, i) };
		memcpy(t->shape, first->shape, first->rank * sizeof(*t->shape));
		if (b->n_members == 1) {
			t->offset = t->size ? (uint64_t)((const char *)first->data - c->base) : 0;
			continue;
		}
		t->shape[0] = b->rows;
		t->offset = at;
		at += align64(t->size);
	}
}

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
	ret->base = b->deployment->arena.base;
	ret->signature = b->signature;
	ret->kind = kind;
	ret->compute_ns = compute_ns;
	ret->generation = b->generation;
	ret->batch = b->signature->max_batch_size ? b->rows : 1;
	ret->n_in = b->signature->n_inputs;
	ret->n_out = b->signature->n_outputs;
	describe_inputs(b, ret);
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

/* Its inputs are the request's, which ends with its answer. */
static void take_inputs(struct batch *b)
{
	struct infer_request *r = b->members[0].request;

	if (b->n_members > 1 || !r->has_block)
		return;
	b->orphans[b->n_orphans++] = r->block;
	r->has_block = false;
}

static void copy_later(struct batch *b, struct recorded *to, const struct recorder_call *call)
{
	struct copying *c = copying_new(b->deployment->deploy);

	c->work.data = c;
	c->batch = b;
	c->to = to;
	c->call = *call;
	take_inputs(b);
	b->n_users++;
	uv_queue_work(b->deployment->deploy->hub->loop, &c->work, on_copy, on_copied);
}

void record_offer(struct batch *b, uint64_t compute_ns)
{
	struct recorder *r = &b->deployment->recorder;
	struct recorder_call c;
	struct recorded *to;
	uint64_t kind;

	if (!r->all->each || !all_are_there(b))
		return;
	kind = recorder_kind(b->members[0].request->inputs, b->signature->n_inputs,
			     b->signature->max_batch_size ? b->rows : 0);
	if (!recorder_wants(r, b->signature, kind, b->submitted_ns))
		return;
	describe(b, kind, compute_ns, &c);
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
