/* SPDX-License-Identifier: MIT */
#include "deploy/difference.h"

#include <inttypes.h>
#include <string.h>

#include "deploy/internal.h"
#include "infer/signature.h"
#include "infer/tensor.h"
#include "ring/call.h"

static const char *data_of(const struct batch *b, uint32_t i)
{
	return b->arena->base + b->outputs[i].offset;
}

static bool same_shape(const struct known_output *a, const struct known_output *b)
{
	return a->rank == b->rank && memcmp(a->shape, b->shape, a->rank * sizeof(*a->shape)) == 0;
}

static void compare_output(const struct batch *expected, const struct batch *got, uint32_t i, struct comparison *ret)
{
	const struct known_output *e = &expected->outputs[i], *g = &got->outputs[i];
	uint32_t dtype = expected->signature->outputs[i].dtype;
	uint64_t n = (uint64_t)tensor_elements(e->shape, e->rank);

	if (dtype == DEVSERVE_BYTES)
		compare_bytes(data_of(expected, i), e->size, data_of(got, i), g->size, n, ret);
	else
		compare(dtype, data_of(expected, i), data_of(got, i), n, tolerance_of(dtype), ret);
}

static enum difference_kind look(const struct batch *expected, const struct batch *got, uint32_t i, bool values,
				 struct comparison *ret)
{
	const struct known_output *e = &expected->outputs[i], *g = &got->outputs[i];

	if (!same_shape(e, g))
		return DIFFERENCE_SHAPE;
	if (!values || (e->size == g->size && memcmp(data_of(expected, i), data_of(got, i), e->size) == 0))
		return DIFFERENCE_NONE;
	compare_output(expected, got, i, ret);
	return comparison_agrees(ret) ? DIFFERENCE_NONE : DIFFERENCE_VALUES;
}

void difference_measure(const struct batch *expected, const struct batch *got, bool values, struct difference *ret)
{
	ret->kind = DIFFERENCE_NONE;
	for (uint32_t i = 0; i < expected->signature->n_outputs && ret->kind == DIFFERENCE_NONE; i++) {
		ret->output = i;
		ret->kind = look(expected, got, i, values, &ret->comparison);
	}
}

/* Telling */

static void put_error(const struct batch *got, struct buffer *b)
{
	const struct call *call = (const struct call *)(got->arena->base + got->block);
	uint32_t size = call->error_size;

	buffer_printf(b, "infer() returned %d", call->status);
	if (size && size <= sizeof(call->error))
		buffer_printf(b, " (%.*s)", (int)strnlen(call->error, size), call->error);
}

static void put_shape(struct buffer *b, const struct known_output *o)
{
	buffer_putc(b, '[');
	for (uint32_t i = 0; i < o->rank; i++)
		buffer_printf(b, "%s%" PRId64, i ? "," : "", o->shape[i]);
	buffer_putc(b, ']');
}

/* Strings aren't shown: a worker that still runs may change their lengths. */
static void put_values(const struct difference *d, const struct batch *expected, const struct batch *got,
		       struct buffer *b)
{
	const struct signature_port *port = &expected->signature->outputs[d->output];
	const struct known_output *e = &expected->outputs[d->output];
	const struct comparison *c = &d->comparison;

	buffer_printf(b, "%s", port->name);
	compare_put_place(b, c->worst, e->shape, e->rank);
	buffer_puts(b, " is ");
	if (port->dtype == DEVSERVE_BYTES) {
		buffer_printf(b, "not what generation %u answered", expected->generation);
	} else {
		compare_put_element(b, port->dtype, data_of(got, d->output), got->outputs[d->output].size, c->worst);
		buffer_printf(b, " where generation %u answered ", expected->generation);
		compare_put_element(b, port->dtype, data_of(expected, d->output), e->size, c->worst);
	}
	buffer_printf(b, "; %" PRIu64 " of %" PRIu64 " elements differ", c->n_beyond, c->n);
	if (c->max_abs > 0)
		buffer_printf(b, ", by %.3g at most", c->max_abs);
}

void difference_describe(const struct difference *d, const struct batch *expected, const struct batch *got,
			 struct buffer *ret)
{
	const char *name = expected->signature->outputs[d->output].name;

	buffer_puts(ret, "for ");
	batch_describe(got, ret);
	buffer_puts(ret, ": ");
	if (d->kind == DIFFERENCE_ERROR) {
		put_error(got, ret);
	} else if (d->kind == DIFFERENCE_NONSENSE) {
		buffer_puts(ret, "an output isn't the call's own memory");
	} else if (d->kind == DIFFERENCE_SHAPE) {
		buffer_printf(ret, "%s", name);
		put_shape(ret, &got->outputs[d->output]);
		buffer_printf(ret, " where generation %u answered %s", expected->generation, name);
		put_shape(ret, &expected->outputs[d->output]);
	} else {
		put_values(d, expected, got, ret);
	}
}
