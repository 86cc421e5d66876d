/* SPDX-License-Identifier: MIT */

/*
 * Outputs
 *
 * What is known of them before the call, and what they are after it. Of what the worker wrote
 * only shape, offset and size of outputs whose shape the deployment finds are read; each once,
 * into our own memory, and checked against the blocks that belong to the call. Where we chose
 * the place ourselves, our own copy counts.
 */

#include <errno.h>
#include <string.h>

#include "deploy/internal.h"
#include "infer/dtype.h"
#include "infer/signature.h"
#include "ring/call.h"

uint64_t output_room(uint64_t size)
{
	return align64(size + 1);
}

static bool is_fixed(const struct signature_port *port)
{
	for (uint32_t k = 0; k < port->rank; k++)
		if (port->shape[k] < 0)
			return false;
	return true;
}

int outputs_know(struct batch *b, uint32_t i)
{
	struct known_output *ret = &b->outputs[i];
	const struct signature *s = b->signature;
	const struct signature_port *port = &s->outputs[i];
	const struct tensor *in = &b->members[0].request->inputs[i];
	uint32_t front = s->max_batch_size ? 1 : 0;
	int64_t n;

	ret->offset = ret->size = 0;
	ret->rank = 0;
	ret->shaped = true;
	if (s->output_shape == DEVSERVE_SAME_SHAPE) {
		ret->rank = in->rank;
		memcpy(ret->shape, in->shape, in->rank * sizeof(*ret->shape));
	} else if (is_fixed(port)) {
		ret->rank = port->rank + front;
		memcpy(ret->shape + front, port->shape, port->rank * sizeof(*ret->shape));
	} else {
		ret->shaped = false;
		return 0;
	}
	if (front)
		ret->shape[0] = b->rows;
	n = tensor_elements(ret->shape, ret->rank);
	if (n < 0 || __builtin_mul_overflow((uint64_t)n, dtype_size(port->dtype), &ret->size) ||
	    ret->size > b->deployment->deploy->budget.limit)
		return -EOVERFLOW;
	return 0;
}

static bool is_ours(const struct batch *b, uint64_t offset, uint64_t size)
{
	const struct arena *a = b->arena;

	for (unsigned i = 0; i <= b->n_granted; i++) {
		uint64_t block = i == b->n_granted ? b->block : b->granted[i];
		uint64_t end = block + arena_block_size(a, block);

		if (offset >= block && offset <= end && size <= end - offset)
			return true;
	}
	return false;
}

static bool shape_is_declared(const struct batch *b, uint32_t i, const struct call_tensor *t)
{
	const struct signature_port *port = &b->signature->outputs[i];
	uint32_t front = b->signature->max_batch_size ? 1 : 0;

	if (t->rank != port->rank + front || (front && t->shape[0] != b->rows))
		return false;
	for (uint32_t k = 0; k < port->rank; k++)
		if (port->shape[k] >= 0 && t->shape[front + k] != port->shape[k])
			return false;
	return tensor_elements(t->shape, t->rank) >= 0;
}

/* Output @i as one tensor of the whole batch. False: the worker wrote nonsense. */
static bool read_output(const struct batch *b, const struct call *call, uint32_t i, struct call_tensor *ret)
{
	const struct signature *s = b->signature;
	const struct known_output *o = &b->outputs[i];
	struct call_tensor t = call->tensors[s->n_inputs + i];
	uint64_t size;

	t.dtype = s->outputs[i].dtype;
	if (o->shaped) {
		t.rank = o->rank;
		memcpy(t.shape, o->shape, o->rank * sizeof(*t.shape));
	}
	if (o->offset) {
		t.offset = o->offset;
		t.size = o->size;
		*ret = t;
		return true;
	}
	if (t.rank > DEVSERVE_MAX_RANK || !shape_is_declared(b, i, &t) || !is_ours(b, t.offset, t.size))
		return false;
	if (t.dtype != DEVSERVE_BYTES &&
	    (__builtin_mul_overflow((uint64_t)tensor_elements(t.shape, t.rank), dtype_size(t.dtype), &size) ||
	     size != t.size))
		return false;
	*ret = t;
	return true;
}

/* Bytes of the first @n elements of a BYTES tensor, or UINT64_MAX where they don't fit. */
static uint64_t bytes_prefix(const char *data, uint64_t size, int64_t n)
{
	uint64_t at = 0;

	for (; n > 0; n--) {
		uint32_t length;

		if (size - at < sizeof(length))
			return UINT64_MAX;
		memcpy(&length, data + at, sizeof(length));
		at += sizeof(length);
		if (length > size - at)
			return UINT64_MAX;
		at += length;
	}
	return at;
}

/* The rows of @t that follow *@at belong to @ret, whose first extent is set. */
static bool slice(const struct batch *b, const struct call_tensor *t, struct tensor *ret, uint64_t *at)
{
	char *data = b->arena->base + t->offset;

	ret->data = data + *at;
	if (t->dtype == DEVSERVE_BYTES)
		ret->size = bytes_prefix(ret->data, t->size - *at, tensor_elements(ret->shape, ret->rank));
	else
		ret->size = (uint64_t)tensor_elements(ret->shape, ret->rank) * dtype_size(t->dtype);
	if (ret->size > t->size - *at)
		return false;
	*at += ret->size;
	return true;
}

/* The place that was chosen, or found, is the one that counts from here on. */
static void note(struct known_output *o, const struct call_tensor *t)
{
	o->offset = t->offset;
	o->size = t->size;
	o->rank = t->rank;
	memcpy(o->shape, t->shape, t->rank * sizeof(*t->shape));
}

/* Give every member its rows of output @i. */
static bool hand_out(struct batch *b, const struct call *call, uint32_t i)
{
	struct call_tensor t;
	uint64_t at = 0;

	if (!read_output(b, call, i, &t))
		return false;
	for (unsigned m = 0; m < b->n_members; m++) {
		struct infer_request *r = b->members[m].request;
		struct tensor scratch, *out = r ? &r->outputs[i] : &scratch;

		out->port = i;
		out->dtype = t.dtype;
		out->rank = t.rank;
		memcpy(out->shape, t.shape, t.rank * sizeof(*t.shape));
		if (b->signature->max_batch_size)
			out->shape[0] = b->members[m].rows;
		if (!slice(b, &t, out, &at))
			return false;
	}
	note(&b->outputs[i], &t);
	return true;
}

bool outputs_read(struct batch *b, const struct call *call)
{
	for (uint32_t i = 0; i < b->signature->n_outputs; i++)
		if (!hand_out(b, call, i))
			return false;
	return true;
}
