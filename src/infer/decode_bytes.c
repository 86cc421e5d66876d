/* SPDX-License-Identifier: MIT */

/*
 * Decode, the bytes
 *
 * What doesn't need the JSON: memory for the inputs, raw requests, and what is wrong with
 * binary tensors that sizes don't tell.
 */

#include "infer/decode.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "infer/dtype.h"
#include "infer/memory.h"
#include "infer/request.h"
#include "infer/signature.h"

#define ALIGNMENT 64

const char *decode_input_name(const struct infer_request *r, uint32_t input)
{
	return r->signature->inputs[input].name;
}

int decode_size_mismatch(struct infer_request *r, uint32_t input, uint64_t expected, uint64_t got)
{
	return infer_request_refuse(
		r, INFER_INVALID,
		"input byte size mismatch for input '%s' for model '%s'. Expected "
		"%s%" PRIu64 ", got %" PRIu64,
		decode_input_name(r, input), r->name,
		r->signature->inputs[input].dtype == DEVSERVE_BYTES ? "at least " : "", expected,
		got);
}

void decode_want_all(struct infer_request *r, bool binary)
{
	r->n_wanted = r->signature->n_outputs;
	for (uint32_t i = 0; i < r->n_wanted; i++) {
		r->wanted[i].port = i;
		r->wanted[i].binary = binary;
	}
}

int decode_missing_data(struct infer_request *r, uint32_t input, uint64_t missing)
{
	return infer_request_refuse(r, INFER_INVALID,
				    "unexpected size for input '%s', expecting %" PRIu64
				    " additional bytes for model '%s'",
				    decode_input_name(r, input), missing, r->name);
}

static int too_large(struct infer_request *r)
{
	return infer_request_refuse(r, INFER_TOO_LARGE,
				    "the inputs are larger than the memory for all requests "
				    "(--max-memory)");
}

int decode_reserve(struct infer_request *r)
{
	uint64_t at[DEVSERVE_MAX_TENSORS], total = 0;
	void *base;
	int e;

	for (uint32_t i = 0; i < r->n_inputs; i++) {
		uint64_t size = r->inputs[i].size ? r->inputs[i].size : 1;

		at[i] = total;
		if (__builtin_add_overflow(total, size, &total) ||
		    __builtin_add_overflow(total, ALIGNMENT - 1, &total))
			return too_large(r);
		total &= ~(uint64_t)(ALIGNMENT - 1);
	}
	if (!total)
		return 0;
	e = r->memory->reserve(r->memory, total, &base, &r->block);
	if (e == -EFBIG)
		return too_large(r);
	if (e < 0)
		return infer_request_refuse(r, INFER_UNAVAILABLE,
					    "no memory for %" PRIu64 " bytes of inputs now", total);
	r->has_block = true;
	for (uint32_t i = 0; i < r->n_inputs; i++)
		r->inputs[i].data = (char *)base + at[i];
	return 0;
}

/* Raw requests */

static int refuse_raw_bytes(struct infer_request *r)
{
	return infer_request_refuse(
		r, INFER_INVALID,
		"For BYTE datatype raw input '%s', the model must have input shape [1]",
		decode_input_name(r, 0));
}

/* The bytes of one element of a BYTES tensor get their length in front. */
static int size_raw_bytes(struct infer_request *r, const struct signature_port *port, uint64_t size)
{
	if (tensor_elements(port->shape, port->rank) != 1)
		return refuse_raw_bytes(r);
	if (size > UINT32_MAX)
		return infer_request_refuse(r, INFER_TOO_LARGE,
					    "an element of BYTES has at most 4 GiB");
	r->inputs[0].size = 4 + size;
	return 0;
}

/* At most one extent is free: whatever is left of @size when the others have their part. */
static int size_raw(struct infer_request *r, const struct signature_port *port, uint64_t size)
{
	struct tensor *t = &r->inputs[0];
	uint32_t front = r->signature->max_batch_size ? 1 : 0;
	uint64_t unit = dtype_size(port->dtype);
	int64_t *deduced = NULL;

	for (uint32_t i = 0; i < port->rank; i++) {
		if (port->shape[i] < 0 && deduced)
			return infer_request_refuse(
				r, INFER_INVALID,
				"The shape of the raw input '%s' can not be deduced "
				"because there are more than one variable-sized "
				"dimension",
				port->name);
		if (port->shape[i] < 0)
			deduced = &t->shape[i + front];
		else if (__builtin_mul_overflow(unit, (uint64_t)port->shape[i], &unit))
			unit = UINT64_MAX;
	}
	if (deduced)
		*deduced = (int64_t)(size / unit);
	if (deduced ? size % unit || !size : size != unit)
		return decode_size_mismatch(r, 0, unit, size);
	t->size = size;
	return 0;
}

static void shape_raw(struct infer_request *r, const struct signature_port *port)
{
	struct tensor *t = &r->inputs[0];
	uint32_t front = r->signature->max_batch_size ? 1 : 0;

	t->port = 0;
	t->dtype = port->dtype;
	t->rank = port->rank + front;
	t->shape[0] = 1;
	memcpy(t->shape + front, port->shape, port->rank * sizeof(*port->shape));
}

int decode_raw(struct infer_request *r, uint64_t size)
{
	const struct signature_port *port = &r->signature->inputs[0];
	uint32_t length = (uint32_t)size;
	int e;

	if (r->signature->n_inputs != 1)
		return infer_request_refuse(
			r, INFER_INVALID,
			"Raw request must only have 1 input (found 1) to be deduced "
			"but got %" PRIu32 " inputs in '%s' model configuration",
			r->signature->n_inputs, r->name);
	if (!size && r->json_size == INFER_BODY_UNKNOWN)
		return infer_request_refuse(r, INFER_INVALID, "the request has no body");
	shape_raw(r, port);
	e = port->dtype == DEVSERVE_BYTES ? size_raw_bytes(r, port, size) : size_raw(r, port, size);
	if (e)
		return e;
	r->n_inputs = 1;
	e = decode_reserve(r);
	if (e)
		return e;
	decode_want_all(r, true);
	r->n_binary = 1;
	r->binary[0].input = 0;
	r->binary[0].size = r->inputs[0].size;
	if (port->dtype == DEVSERVE_BYTES) {
		memcpy(r->inputs[0].data, &length, sizeof(length));
		r->receiving_at = sizeof(length);
	}
	r->decoded = true;
	return 0;
}

/* The binary tensors */

static int check_bytes(struct infer_request *r, const struct tensor *t)
{
	const char *name = decode_input_name(r, t->port);
	uint64_t wanted = (uint64_t)tensor_elements(t->shape, t->rank), n = 0, at = 0;

	for (; at < t->size && n < wanted; n++) {
		uint64_t left = t->size - at;
		uint32_t length = 0;

		if (left < sizeof(length))
			return infer_request_refuse(
				r, INFER_INVALID,
				"incomplete string length indicator for inference "
				"input '%s' for model '%s', expecting 4 bytes but only "
				"%" PRIu64 " bytes available",
				name, r->name, left);
		memcpy(&length, (const char *)t->data + at, sizeof(length));
		if (length > left - sizeof(length))
			return infer_request_refuse(
				r, INFER_INVALID,
				"incomplete string data for inference input '%s' for "
				"model '%s', expecting string of length %" PRIu32
				" but only %" PRIu64 " bytes available",
				name, r->name, length, left - sizeof(length));
		at += sizeof(length) + length;
	}
	if (n < wanted)
		return infer_request_refuse(r, INFER_INVALID,
					    "expected %" PRIu64
					    " string elements for inference input '%s' "
					    "for model '%s', got %" PRIu64,
					    wanted, name, r->name, n);
	if (at < t->size)
		return infer_request_refuse(
			r, INFER_INVALID,
			"unexpected number of string elements %" PRIu64
			" for inference input '%s' for model '%s', expecting %" PRIu64,
			n + 1, name, r->name, wanted);
	return 0;
}

/* C and C++ promise nothing for a bool that is neither 0 nor 1. */
static int check_bools(struct infer_request *r, const struct tensor *t)
{
	const unsigned char *data = t->data;
	unsigned char all = 0;

	for (uint64_t i = 0; i < t->size; i++)
		all |= data[i];
	if (all <= 1)
		return 0;
	return infer_request_refuse(r, INFER_INVALID,
				    "input '%s' of model '%s' has a BOOL that is neither 0 nor 1",
				    decode_input_name(r, t->port), r->name);
}

int decode_finish(struct infer_request *r)
{
	int e = 0;

	if (r->receiving < r->n_binary)
		return decode_missing_data(r, r->binary[r->receiving].input,
					   r->binary[r->receiving].size - r->receiving_at);
	for (uint32_t i = 0; i < r->n_binary && !e; i++) {
		const struct tensor *t = &r->inputs[r->binary[i].input];

		if (t->dtype == DEVSERVE_BYTES)
			e = check_bytes(r, t);
		else if (t->dtype == DEVSERVE_BOOL)
			e = check_bools(r, t);
	}
	return e;
}
