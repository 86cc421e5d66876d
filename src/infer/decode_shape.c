/* SPDX-License-Identifier: MIT */

/* Decode, the shape of an input: in arithmetic that notices overflow, before anything else. */

#include <inttypes.h>

#include "infer/decode.h"
#include "infer/decoder.h"
#include "infer/dtype.h"
#include "infer/signature.h"

static void print_shape(struct buffer *b, const char *front, const int64_t *shape, uint32_t rank)
{
	const char *comma = *front ? "," : "";

	buffer_printf(b, "[%s", front);
	for (uint32_t i = 0; i < rank; i++, comma = ",")
		buffer_printf(b, "%s%" PRId64, comma, shape[i]);
}

static int unexpected_shape(struct decoder *d, const struct tensor *t, bool more)
{
	const struct signature_port *port = &d->s->inputs[t->port];
	_cleanup_buffer_ struct buffer expected = BUFFER_NULL, got = BUFFER_NULL;

	print_shape(&expected, d->s->max_batch_size ? "-1" : "", port->shape, port->rank);
	print_shape(&got, "", t->shape, t->rank);
	return decoder_refuse(
		d, "shape",
		"unexpected shape for input '%s' for model '%s'. Expected %s], got %s%s]",
		port->name, d->r->name, buffer_text(&expected), buffer_text(&got),
		more ? ",…" : "");
}

static int too_many_elements(struct decoder *d, const struct tensor *t)
{
	return decoder_refuse(d, "shape",
			      "shape of input '%s' causes total element count to exceed maximum "
			      "size of %" PRId64,
			      decode_input_name(d->r, t->port), INT64_MAX);
}

/* A sentence is about the extent @i. */
static void point_at(struct decoder *d, uint32_t i)
{
	d->within.depth = 1;
	d->within.index[0] = i;
}

static int read_extents(struct decoder *d, struct node n, struct tensor *t)
{
	struct node_cursor c;
	struct node extent;
	uint64_t v;

	t->rank = 0;
	if (node_type(n) != NODE_ARRAY)
		return decoder_wrong_kind(d, "shape", "array");
	for (c = node_elements(n); node_next(&c, &extent);) {
		if (t->rank == DEVSERVE_MAX_RANK)
			return unexpected_shape(d, t, true);
		if (!node_uint(extent, &v)) {
			point_at(d, t->rank);
			return decoder_wrong_kind(d, "shape", "unsigned-integer");
		}
		if (v > INT64_MAX) {
			point_at(d, t->rank);
			return too_many_elements(d, t);
		}
		t->shape[t->rank++] = (int64_t)v;
	}
	return 0;
}

static int check_batch(struct decoder *d, const struct tensor *t)
{
	const char *model = d->r->name;

	if (!d->s->max_batch_size)
		return 0;
	if (!t->rank)
		return decoder_refuse(
			d, "shape",
			"input '%s' has no shape but model requires batch dimension for '%s'",
			decode_input_name(d->r, t->port), model);
	if (d->seen && t->shape[0] != d->r->batch)
		return decoder_refuse(d, "shape[0]",
				      "input '%s' batch size does not match other inputs for '%s'",
				      decode_input_name(d->r, t->port), model);
	if (t->shape[0] < 1)
		return decoder_refuse(d, "shape[0]",
				      "inference request batch-size must be >= 1 for '%s'", model);
	if (t->shape[0] > d->s->max_batch_size)
		return decoder_refuse(d, "shape[0]",
				      "inference request batch-size must be <= %" PRIu32
				      " for '%s'",
				      d->s->max_batch_size, model);
	d->r->batch = (uint32_t)t->shape[0];
	return 0;
}

static int check_extents(struct decoder *d, const struct tensor *t)
{
	const struct signature_port *port = &d->s->inputs[t->port];
	uint32_t front = d->s->max_batch_size ? 1 : 0;

	if (t->rank != port->rank + front)
		return unexpected_shape(d, t, false);
	for (uint32_t i = 0; i < port->rank; i++) {
		if (port->shape[i] < 0 || port->shape[i] == t->shape[i + front])
			continue;
		point_at(d, i + front);
		return unexpected_shape(d, t, false);
	}
	return 0;
}

int decode_shape(struct decoder *d, struct node node, struct tensor *t)
{
	int r = read_extents(d, node, t);
	int64_t n, size;

	if (r)
		return r;
	n = tensor_elements(t->shape, t->rank);
	if (n < 0)
		return too_many_elements(d, t);
	if (__builtin_mul_overflow(n, t->dtype == DEVSERVE_BYTES ? 4 : dtype_size(t->dtype), &size))
		return decoder_refuse(d, "shape", "byte size overflow for input '%s'",
				      decode_input_name(d->r, t->port));
	if ((r = check_batch(d, t)) || (r = check_extents(d, t)))
		return r;
	t->size = (uint64_t)size;
	return 0;
}
