/* SPDX-License-Identifier: MIT */

/*
 * Call
 *
 * What a worker reads of a batch: a struct call in one block of the arena, with the outputs' places behind it. A
 * batch of one is passed as it lies; a batch of several is gathered here, when it closes, so that a slow
 * client never holds a hole in somebody else's batch.
 */

#include <errno.h>
#include <string.h>

#include "deploy/internal.h"
#include "infer/signature.h"
#include "ring/call.h"

static uint64_t gathered_size(const struct batch *b, uint32_t i)
{
	uint64_t size = 0;

	for (unsigned m = 0; m < b->n_members; m++)
		size += b->members[m].request->inputs[i].size;
	return size;
}

/* Sizes first, then one block for all. -EOVERFLOW, -ENOMEM. */
static int reserve_call(struct batch *b, uint64_t *ret_spill)
{
	const struct signature *s = b->signature;
	uint64_t total = align64(sizeof(struct call) +
				 (s->n_inputs + s->n_outputs) * sizeof(struct call_tensor));
	bool spills = false;

	for (uint32_t i = 0; i < s->n_inputs && (b->n_members > 1 || b->copy); i++)
		total += align64(gathered_size(b, i));
	for (uint32_t i = 0; i < s->n_outputs; i++) {
		if (outputs_know(b, i) < 0)
			return -EOVERFLOW;
		spills |= !b->outputs[i].shaped || s->outputs[i].dtype == DEVSERVE_BYTES;
		total += output_room(b->outputs[i].size);
	}
	*ret_spill = spills ? b->deployment->spill_guess : 0;
	if (total + *ret_spill > arena_most(b->arena->budget))
		return -EOVERFLOW;
	b->block = arena_reserve(b->arena, total + *ret_spill);
	return b->block ? 0 : -ENOMEM;
}

int batch_reserve(struct batch *b, uint64_t *ret_spill)
{
	int r = reserve_call(b, ret_spill);

	if (r == 0 || b->n_members == 1)
		return r;
	b->n_members = 1;
	b->rows = b->members[0].rows;
	return reserve_call(b, ret_spill);
}

static uint64_t gather(const struct batch *b, uint32_t i, uint64_t at)
{
	char *base = b->arena->base;

	for (unsigned m = 0; m < b->n_members; m++) {
		const struct tensor *t = &b->members[m].request->inputs[i];

		memcpy(base + at, t->data, t->size);
		at += t->size;
	}
	return at;
}

static uint64_t place_inputs(const struct batch *b, struct call *call, uint64_t at)
{
	char *base = b->arena->base;

	for (uint32_t i = 0; i < call->n_in; i++) {
		const struct tensor *first = &b->members[0].request->inputs[i];
		struct call_tensor *t = &call->tensors[i];

		t->rank = first->rank;
		t->dtype = first->dtype;
		memcpy(t->shape, first->shape, first->rank * sizeof(*t->shape));
		if (b->n_members == 1) {
			t->offset = (uint64_t)((char *)first->data - base);
			t->size = first->size;
			continue;
		}
		t->shape[0] = b->rows;
		t->offset = at;
		t->size = gather(b, i, at) - at;
		at += align64(t->size);
	}
	return at;
}

static uint64_t place_outputs(struct batch *b, struct call *call, uint64_t at)
{
	for (uint32_t i = 0; i < call->n_out; i++) {
		struct call_tensor *t = &call->tensors[call->n_in + i];
		struct known_output *o = &b->outputs[i];

		t->dtype = b->signature->outputs[i].dtype;
		if (o->shaped && t->dtype != DEVSERVE_BYTES)
			o->offset = at;
		t->offset = o->offset;
		t->size = o->size;
		t->rank = o->rank;
		memcpy(t->shape, o->shape, o->rank * sizeof(*t->shape));
		at += output_room(o->size);
	}
	return at;
}

uint64_t batch_inputs_at(const struct batch *b)
{
	const struct signature *s = b->signature;

	return b->block + align64(sizeof(struct call) + (s->n_inputs + s->n_outputs) * sizeof(struct call_tensor));
}

static struct call *write_head(struct batch *b)
{
	const struct signature *s = b->signature;
	struct call *call = (struct call *)(b->arena->base + b->block);

	call->n_in = s->n_inputs;
	call->n_out = s->n_outputs;
	call->batch = s->max_batch_size ? b->rows : 1;
	call->status = -EIO;
	call->error_size = 0;
	call->unwanted = 0;
	return call;
}

/* @at: where what follows the inputs begins. */
static void write_tail(struct batch *b, struct call *call, uint64_t at, uint64_t spill)
{
	call->spill_offset = place_outputs(b, call, at);
	call->spill_size = spill;
}

void batch_write(struct batch *b, uint64_t spill)
{
	struct call *call = write_head(b);

	write_tail(b, call, place_inputs(b, call, batch_inputs_at(b)), spill);
}

struct batch *batch_copy(const struct batch *of, struct shadow_copy *copy, struct arena *arena,
			 struct signature *signature)
{
	struct batch *b = batch_new(of->deployment, signature);
	uint64_t spill = 0, at;
	struct call *call;

	b->arena = arena;
	b->copy = copy;
	b->rows = of->rows;
	memcpy(b->members, of->members, of->n_members * sizeof(*b->members));
	b->n_members = of->n_members; /* until their sizes have been asked for */
	b->n_users = 1;
	if (reserve_call(b, &spill) == 0) {
		call = write_head(b);
		at = batch_inputs_at(b);
		batch_inputs(of, call->tensors);
		for (uint32_t i = 0; i < call->n_in; i++) {
			call->tensors[i].offset = at;
			at += align64(call->tensors[i].size);
		}
		write_tail(b, call, at, spill);
	}
	b->n_members = 0;
	if (b->block)
		return b;
	batch_discard(b);
	return NULL;
}
