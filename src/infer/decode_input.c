/* SPDX-License-Identifier: MIT */

/* Decode, the inputs: each is named, has the declared datatype, and comes once. */

#include <inttypes.h>

#include "base/memory.h"
#include "infer/decode.h"
#include "infer/decoder.h"
#include "infer/dtype.h"
#include "infer/signature.h"

static int read_datatype(struct decoder *d, struct node n, struct tensor *t)
{
	const struct signature_port *port = &d->s->inputs[t->port];
	const char *name, *expected = dtype_name(port->dtype);
	size_t size;

	if (!node_string(n, &name, &size))
		return decoder_wrong_kind(d, "datatype", "string");
	t->dtype = port->dtype;
	if (!decoder_is(expected, name, size))
		return decoder_refuse(
			d, "datatype",
			"inference input '%s' data-type is '%s', but model '%s' expects '%s'",
			port->name, decoder_echo(name, size).text, d->r->name, expected);
	return 0;
}

/* Data */

static const char *kind_of(uint32_t dtype)
{
	static const char *const kinds[] = {
		[DEVSERVE_BOOL] = "boolean",
		[DEVSERVE_UINT8] = "unsigned-integer",
		[DEVSERVE_UINT16] = "unsigned-integer",
		[DEVSERVE_UINT32] = "unsigned-integer",
		[DEVSERVE_UINT64] = "unsigned-integer",
		[DEVSERVE_INT8] = "signed-integer",
		[DEVSERVE_INT16] = "signed-integer",
		[DEVSERVE_INT32] = "signed-integer",
		[DEVSERVE_INT64] = "signed-integer",
		[DEVSERVE_FP32] = "number",
		[DEVSERVE_FP64] = "number",
		[DEVSERVE_BYTES] = "string",
	};

	return kinds[dtype];
}

static int wrong_data(struct decoder *d, const struct tensor *t, int outcome)
{
	const char *kind = kind_of(t->dtype), *name = decode_input_name(d->r, t->port);

	if (outcome == NODE_E_SHAPE)
		return decoder_refuse(d, "data",
				      "Unable to parse 'data': Shape does not match true shape of "
				      "'data' field of input '%s'",
				      name);
	if (outcome == NODE_E_RANGE)
		return decoder_refuse(
			d, "data",
			"Unable to parse 'data': a number is out of range for %s of input '%s'",
			dtype_name(t->dtype), name);
	return decoder_refuse(
		d, "data",
		"Unable to parse 'data': attempt to access JSON non-%s as %s of input '%s'", kind,
		kind, name);
}

/* An element takes a byte of JSON at least: a shape that promises more is a lie. */
static int size_json(struct decoder *d, struct node data, struct tensor *t)
{
	int r = 0;

	if (!dtype_in_json(t->dtype))
		return decoder_refuse(
			d, "data",
			"receiving %s data via JSON is not supported. Please use the binary "
			"data format for input %s",
			dtype_name(t->dtype), decode_input_name(d->r, t->port));
	if (node_type(data) != NODE_ARRAY)
		return decoder_wrong_kind(d, "data", "array");
	if (tensor_elements(t->shape, t->rank) > (int64_t)d->r->json.size)
		return wrong_data(d, t, NODE_E_SHAPE);
	if (t->dtype == DEVSERVE_BYTES)
		r = node_bytes_size(data, t->shape, t->rank, &t->size, &d->within);
	d->data[t->port] = data;
	return r ? wrong_data(d, t, r) : 0;
}

int decode_fill(struct decoder *d)
{
	for (uint32_t i = 0; i < d->s->n_inputs; i++) {
		const struct tensor *t = &d->r->inputs[i];
		int r;

		if (node_is_absent(d->data[i]))
			continue;
		r = node_fill(d->data[i], t->dtype, t->shape, t->rank, t->data, &d->within);
		if (!r)
			continue;
		d->list = "inputs";
		d->index = d->order[i];
		return wrong_data(d, t, r);
	}
	return 0;
}

static int size_binary(struct decoder *d, struct node n, struct tensor *t)
{
	static const char member[] = "parameters.binary_data_size";
	struct infer_request *r = d->r;
	uint64_t size;

	if (!node_uint(n, &size))
		return decoder_wrong_kind(d, member, "unsigned-integer");
	if (size && r->json_size == INFER_BODY_UNKNOWN)
		return decoder_refuse(
			d, member,
			"must specify valid 'Infer-Header-Content-Length' in request header "
			"and 'binary_data_size' when passing inputs in binary data format");
	if (t->dtype == DEVSERVE_BYTES ? size < t->size : size != t->size) {
		decode_size_mismatch(r, t->port, t->size, size);
		return decoder_tell_place(d, member);
	}
	t->size = size;
	r->binary[r->n_binary].input = t->port;
	r->binary[r->n_binary++].size = size;
	d->data[t->port] = (struct node){ 0 };
	return 0;
}

/* As JSON, or behind it. */
static int read_size(struct decoder *d, struct node parameters, struct node data, struct tensor *t)
{
	static const struct node_key keys[] = { NODE_KEY("binary_data_size"),
						NODE_KEY("shared_memory_region") };
	struct node p[ARRAY_SIZE(keys)];
	int r = decoder_parameters(d, parameters, keys, ARRAY_SIZE(keys), p);

	if (r)
		return r;
	if (!node_is_absent(p[1]))
		return decoder_refuse_shared_memory(d);
	if (node_is_absent(p[0]) && node_is_absent(data))
		return decoder_refuse(d, NULL,
				      "input '%s' has neither 'data' nor 'binary_data_size'",
				      decode_input_name(d->r, t->port));
	if (node_is_absent(p[0]))
		return size_json(d, data, t);
	if (!node_is_absent(data))
		return decoder_refuse(d, NULL, "input '%s' has both 'data' and 'binary_data_size'",
				      decode_input_name(d->r, t->port));
	return size_binary(d, p[0], t);
}

/* One input */

/* The tensor of the signature that input @name is about; it comes once. */
static int find_input(struct decoder *d, struct node n, struct tensor **ret)
{
	const char *name;
	size_t size;
	int32_t i;

	if (!node_string(n, &name, &size))
		return decoder_wrong_kind(d, "name", "string");
	i = decoder_find_port(d->s->inputs, d->s->n_inputs, name, size);
	if (i < 0)
		return decoder_refuse(d, "name", "unexpected inference input '%s' for model '%s'",
				      decoder_echo(name, size).text, d->r->name);
	if (d->seen & UINT32_C(1) << i)
		return decoder_refuse(d, "name", "input '%s' already exists in request",
				      d->s->inputs[i].name);
	*ret = &d->r->inputs[i];
	(*ret)->port = (uint32_t)i;
	return 0;
}

static int read_input(struct decoder *d, struct node n)
{
	enum {
		NAME,
		SHAPE,
		DATATYPE,
		PARAMETERS,
		DATA
	};
	static const struct node_key keys[] = {
		[NAME] = NODE_KEY("name"),         [SHAPE] = NODE_KEY("shape"),
		[DATATYPE] = NODE_KEY("datatype"), [PARAMETERS] = NODE_KEY("parameters"),
		[DATA] = NODE_KEY("data"),
	};
	struct node m[ARRAY_SIZE(keys)];
	struct tensor *t = NULL;
	int r;

	if (node_type(n) != NODE_OBJECT)
		return decoder_wrong_kind(d, NULL, "object");
	if ((r = decoder_pick(d, n, keys, ARRAY_SIZE(keys), m)) ||
	    (r = find_input(d, m[NAME], &t)) || (r = read_datatype(d, m[DATATYPE], t)) ||
	    (r = decode_shape(d, m[SHAPE], t)) || (r = read_size(d, m[PARAMETERS], m[DATA], t)))
		return r;
	d->seen |= UINT32_C(1) << t->port;
	d->order[t->port] = d->index;
	return 0;
}

/* All of them */

static void list_inputs(const struct decoder *d, bool seen, struct buffer *ret)
{
	for (uint32_t i = 0; i < d->s->n_inputs; i++)
		if (!!(d->seen & UINT32_C(1) << i) == seen)
			buffer_printf(ret, "%s'%s'", ret->size ? "," : "", d->s->inputs[i].name);
}

static int missing_inputs(struct decoder *d)
{
	_cleanup_buffer_ struct buffer got = BUFFER_NULL, missing = BUFFER_NULL;

	list_inputs(d, true, &got);
	list_inputs(d, false, &missing);
	return infer_request_refuse(
		d->r, INFER_INVALID,
		"expected %" PRIu32 " inputs but got %d inputs for model '%s'. Got input(s) "
		"[%s], but missing required input(s) [%s]. Please provide all required input(s).",
		d->s->n_inputs, __builtin_popcount(d->seen), d->r->name, buffer_text(&got),
		buffer_text(&missing));
}

int decode_inputs(struct decoder *d, struct node n)
{
	struct node_cursor c;
	struct node input;

	if (node_type(n) != NODE_ARRAY)
		return decoder_wrong_kind(d, "inputs", "array");
	d->list = "inputs";
	for (c = node_elements(n), d->index = 0; node_next(&c, &input); d->index++) {
		int r = read_input(d, input);

		if (r)
			return r;
	}
	d->list = NULL;
	if ((uint32_t)__builtin_popcount(d->seen) != d->s->n_inputs)
		return missing_inputs(d);
	d->r->n_inputs = d->s->n_inputs;
	return 0;
}
