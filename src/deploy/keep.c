/* SPDX-License-Identifier: MIT */

/*
 * Keep
 *
 * Calls that are looked at once more after they were answered: by the recorder, by a shadow. What
 * is kept stays as it is, inputs and outputs, in the memory that it was answered from.
 */

#include <string.h>

#include "deploy/internal.h"
#include "infer/signature.h"
#include "ring/call.h"

/* Once somebody has gone it isn't known any more where the inputs of the others lie. */
bool batch_is_whole(const struct batch *b)
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

/* As call.c placed them. */
void batch_inputs(const struct batch *b, struct call_tensor *ret)
{
	uint64_t at = batch_inputs_at(b);

	for (uint32_t i = 0; i < b->signature->n_inputs; i++) {
		const struct tensor *first = &b->members[0].request->inputs[i];
		struct call_tensor *t = &ret[i];

		*t = (struct call_tensor){ .rank = first->rank, .dtype = first->dtype, .size = joined_size(b, i) };
		memcpy(t->shape, first->shape, first->rank * sizeof(*t->shape));
		if (b->n_members == 1) {
			t->offset = t->size ? (uint64_t)((const char *)first->data - b->arena->base) : 0;
			continue;
		}
		t->shape[0] = b->rows;
		t->offset = at;
		at += align64(t->size);
	}
}

/* Its inputs are the request's, which ends with its answer. */
void batch_keep(struct batch *b)
{
	struct infer_request *r = b->members[0].request;

	b->n_users++;
	if (b->n_members > 1 || !r->has_block)
		return;
	b->orphans[b->n_orphans++] = r->block;
	r->has_block = false;
}
