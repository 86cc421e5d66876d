/* SPDX-License-Identifier: MIT */

/*
 * Decode
 *
 * Everything here is hostile until proven otherwise. The order is: kinds of the JSON values,
 * names, shapes and sizes, in arithmetic that notices overflow; then one block of memory for
 * all inputs; then the elements. Sizes are believed only where bytes of the body stand for
 * them, so that no more memory is reserved than a small multiple of what was sent.
 *
 * Time is linear in the JSON: lists end at the first entry that is unknown or comes twice,
 * which leaves as many as the signature has; members are compared with a handful of keys.
 *
 * Sentences are Triton's where it has one, for clients match them.
 */

#include "infer/decode.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "infer/dtype.h"
#include "infer/json_parse.h"
#include "infer/memory.h"
#include "infer/request.h"
#include "infer/room.h"
#include "infer/signature.h"

#define ALIGNMENT 64

struct decoder {
	struct infer_request *r;
	const struct signature *s;
	const char *id;
	size_t id_size;
	bool binary_output;                     /* what outputs are that don't say */
	uint32_t seen;                          /* bit i: input i of the signature */
	struct node data[DEVSERVE_MAX_TENSORS]; /* of input i; absent where it is binary */
};

_Static_assert(DEVSERVE_MAX_TENSORS <= 32, "bits of decoder.seen");

#define refuse(d, ...) infer_request_refuse((d)->r, INFER_INVALID, __VA_ARGS__)

/* What somebody else chose, fit for a sentence: capped, control characters escaped. */
#define ECHO_SIZE 64
struct echo {
	char text[ECHO_SIZE + sizeof("\\u0000…")];
};

static struct echo echo(const char *s, size_t size)
{
	struct echo e;
	size_t at = 0, i = 0;

	for (; i < size && at < ECHO_SIZE; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < 0x20 || c == 0x7f)
			at += (size_t)snprintf(e.text + at, 7, "\\u%04x", c);
		else
			e.text[at++] = s[i];
	}
	if (i < size) {
		while (i && ((unsigned char)s[i] & 0xc0) == 0x80) {
			i--; /* half a character */
			at--;
		}
		memcpy(e.text + at, "…", 3);
		at += 3;
	}
	e.text[at] = '\0';
	return e;
}

static int wrong_kind(struct decoder *d, const char *member, const char *kind)
{
	return refuse(d, "Unable to parse '%s': attempt to access JSON non-%s as %s", member, kind,
		      kind);
}

/* @name may hold NULs, @string ends with one. */
static bool is_string(const char *string, const char *name, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!string[i] || string[i] != name[i])
			return false;
	return !string[size];
}

static int32_t find_port(const struct signature_port *ports, uint32_t n, const char *name,
			 size_t size)
{
	for (uint32_t i = 0; i < n; i++)
		if (is_string(ports[i].name, name, size))
			return (int32_t)i;
	return -1;
}

static const char *input_name(const struct infer_request *r, uint32_t input)
{
	return r->signature->inputs[input].name;
}

/* Parameters */

static int check_parameter(struct decoder *d, const char *key, size_t size, struct node value)
{
	static const char reserved[] = "triton_";

	switch (node_type(value)) {
	case NODE_BOOL:
	case NODE_NUMBER:
	case NODE_STRING:
		break;
	default:
		return refuse(d,
			      "parameter '%s' has invalid type. It should be either 'int', "
			      "'bool', or 'string'.",
			      echo(key, size).text);
	}
	if (size >= sizeof(reserved) - 1 && memcmp(key, reserved, sizeof(reserved) - 1) == 0)
		return refuse(d, "parameter keys starting with 'triton_' are reserved for Triton "
				 "usage and should not be specified.");
	return 0;
}

/* Check all of them, pick some. */
static int read_parameters(struct decoder *d, struct node n, const struct node_key *keys,
			   size_t n_keys, struct node *ret)
{
	struct node_cursor c;
	struct node value;
	const char *key;
	size_t size;
	int r;

	memset(ret, 0, n_keys * sizeof(*ret));
	if (node_is_absent(n))
		return 0;
	if (node_type(n) != NODE_OBJECT)
		return wrong_kind(d, "parameters", "object");
	for (c = node_members(n); node_next_member(&c, &key, &size, &value);) {
		r = check_parameter(d, key, size, value);
		if (r)
			return r;
		for (size_t i = 0; i < n_keys; i++)
			if (node_is_key(&keys[i], key, size))
				ret[i] = value;
	}
	return 0;
}

static int refuse_shared_memory(struct decoder *d)
{
	return infer_request_refuse(d->r, INFER_UNSUPPORTED,
				    "Client shared memory is not supported: send the tensors.");
}

/* Shapes */

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
	return refuse(d, "unexpected shape for input '%s' for model '%s'. Expected %s], got %s%s]",
		      port->name, d->r->name, buffer_text(&expected), buffer_text(&got),
		      more ? ",…" : "");
}

static int too_many_elements(struct decoder *d, const struct tensor *t)
{
	return refuse(d,
		      "shape of input '%s' causes total element count to exceed maximum size "
		      "of %" PRId64,
		      input_name(d->r, t->port), INT64_MAX);
}

static int read_shape(struct decoder *d, struct node n, struct tensor *t)
{
	struct node_cursor c;
	struct node extent;
	uint64_t v;

	t->rank = 0;
	if (node_type(n) != NODE_ARRAY)
		return wrong_kind(d, "shape", "array");
	for (c = node_elements(n); node_next(&c, &extent);) {
		if (!node_uint(extent, &v))
			return wrong_kind(d, "shape", "unsigned-integer");
		if (v > INT64_MAX)
			return too_many_elements(d, t);
		if (t->rank == DEVSERVE_MAX_RANK)
			return unexpected_shape(d, t, true);
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
		return refuse(d,
			      "input '%s' has no shape but model requires batch dimension for '%s'",
			      input_name(d->r, t->port), model);
	if (d->seen && t->shape[0] != d->r->batch)
		return refuse(d, "input '%s' batch size does not match other inputs for '%s'",
			      input_name(d->r, t->port), model);
	if (t->shape[0] < 1)
		return refuse(d, "inference request batch-size must be >= 1 for '%s'", model);
	if (t->shape[0] > d->s->max_batch_size)
		return refuse(d, "inference request batch-size must be <= %" PRIu32 " for '%s'",
			      d->s->max_batch_size, model);
	d->r->batch = (uint32_t)t->shape[0];
	return 0;
}

/* Against the declaration; then the bytes that it takes (of BYTES: the least). */
static int check_shape(struct decoder *d, struct tensor *t)
{
	const struct signature_port *port = &d->s->inputs[t->port];
	uint32_t front = d->s->max_batch_size ? 1 : 0;
	int64_t n = tensor_elements(t->shape, t->rank), size;
	int r;

	if (n < 0)
		return too_many_elements(d, t);
	if (__builtin_mul_overflow(n, t->dtype == DEVSERVE_BYTES ? 4 : dtype_size(t->dtype), &size))
		return refuse(d, "byte size overflow for input '%s'", port->name);
	r = check_batch(d, t);
	if (r)
		return r;
	if (t->rank != port->rank + front)
		return unexpected_shape(d, t, false);
	for (uint32_t i = 0; i < port->rank; i++)
		if (port->shape[i] >= 0 && port->shape[i] != t->shape[i + front])
			return unexpected_shape(d, t, false);
	t->size = (uint64_t)size;
	return 0;
}

/* Inputs */

static int read_datatype(struct decoder *d, struct node n, struct tensor *t)
{
	const struct signature_port *port = &d->s->inputs[t->port];
	const char *name, *expected = dtype_name(port->dtype);
	size_t size;

	if (!node_string(n, &name, &size))
		return wrong_kind(d, "datatype", "string");
	t->dtype = port->dtype;
	if (!is_string(expected, name, size))
		return refuse(d,
			      "inference input '%s' data-type is '%s', but model '%s' expects '%s'",
			      port->name, echo(name, size).text, d->r->name, expected);
	return 0;
}

static int wrong_data(struct decoder *d, const struct tensor *t, int outcome)
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
	const char *kind = kinds[t->dtype];

	if (outcome == NODE_E_SHAPE)
		return refuse(d,
			      "Unable to parse 'data': Shape does not match true shape of 'data' "
			      "field (input '%s')",
			      input_name(d->r, t->port));
	if (outcome == NODE_E_RANGE)
		return refuse(
			d, "Unable to parse 'data': a number is out of range for %s (input '%s')",
			dtype_name(t->dtype), input_name(d->r, t->port));
	return refuse(d, "Unable to parse 'data': attempt to access JSON non-%s as %s (input '%s')",
		      kind, kind, input_name(d->r, t->port));
}

/* An element takes a byte of JSON at least: a shape that promises more is a lie. */
static int size_json(struct decoder *d, struct node data, struct tensor *t)
{
	int r = 0;

	if (t->dtype == DEVSERVE_FP16 || t->dtype == DEVSERVE_BF16)
		return refuse(d,
			      "receiving %s data via JSON is not supported. Please use the binary "
			      "data format for input %s",
			      dtype_name(t->dtype), input_name(d->r, t->port));
	if (node_type(data) != NODE_ARRAY)
		return wrong_kind(d, "data", "array");
	if (tensor_elements(t->shape, t->rank) > (int64_t)d->r->json.size)
		return wrong_data(d, t, NODE_E_SHAPE);
	if (t->dtype == DEVSERVE_BYTES)
		r = node_bytes_size(data, t->shape, t->rank, &t->size);
	d->data[t->port] = data;
	return r ? wrong_data(d, t, r) : 0;
}

static int size_mismatch(struct infer_request *r, uint32_t input, uint64_t expected, uint64_t got)
{
	return infer_request_refuse(
		r, INFER_INVALID,
		"input byte size mismatch for input '%s' for model '%s'. Expected "
		"%s%" PRIu64 ", got %" PRIu64,
		input_name(r, input), r->name,
		r->signature->inputs[input].dtype == DEVSERVE_BYTES ? "at least " : "", expected,
		got);
}

static int size_binary(struct decoder *d, struct node n, struct tensor *t)
{
	struct infer_request *r = d->r;
	uint64_t size;

	if (!node_uint(n, &size))
		return wrong_kind(d, "binary_data_size", "unsigned-integer");
	if (size && r->json_size == INFER_BODY_UNKNOWN)
		return refuse(d,
			      "must specify valid 'Infer-Header-Content-Length' in request header "
			      "and 'binary_data_size' when passing inputs in binary data format");
	if (t->dtype == DEVSERVE_BYTES ? size < t->size : size != t->size)
		return size_mismatch(r, t->port, t->size, size);
	t->size = size;
	r->binary[r->n_binary].input = t->port;
	r->binary[r->n_binary++].size = size;
	d->data[t->port] = (struct node){ 0 };
	return 0;
}

static int read_size(struct decoder *d, struct node parameters, struct node data, struct tensor *t)
{
	static const struct node_key keys[] = { NODE_KEY("binary_data_size"),
						NODE_KEY("shared_memory_region") };
	struct node p[ARRAY_SIZE(keys)];
	int r = read_parameters(d, parameters, keys, ARRAY_SIZE(keys), p);

	if (r)
		return r;
	if (!node_is_absent(p[1]))
		return refuse_shared_memory(d);
	if (node_is_absent(p[0]) && node_is_absent(data))
		return refuse(d, "input '%s' has neither 'data' nor 'binary_data_size'",
			      input_name(d->r, t->port));
	if (node_is_absent(p[0]))
		return size_json(d, data, t);
	if (!node_is_absent(data))
		return refuse(d, "input '%s' has both 'data' and 'binary_data_size'",
			      input_name(d->r, t->port));
	return size_binary(d, p[0], t);
}

/* The tensor of the signature that input @name is about; it comes once. */
static int find_input(struct decoder *d, struct node n, struct tensor **ret)
{
	const char *name;
	size_t size;
	int32_t i;

	if (!node_string(n, &name, &size))
		return wrong_kind(d, "name", "string");
	i = find_port(d->s->inputs, d->s->n_inputs, name, size);
	if (i < 0)
		return refuse(d, "unexpected inference input '%s' for model '%s'",
			      echo(name, size).text, d->r->name);
	if (d->seen & UINT32_C(1) << i)
		return refuse(d, "input '%s' already exists in request", d->s->inputs[i].name);
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
		return wrong_kind(d, "inputs", "object");
	node_pick(n, keys, ARRAY_SIZE(keys), m);
	if ((r = find_input(d, m[NAME], &t)) || (r = read_datatype(d, m[DATATYPE], t)) ||
	    (r = read_shape(d, m[SHAPE], t)) || (r = check_shape(d, t)) ||
	    (r = read_size(d, m[PARAMETERS], m[DATA], t)))
		return r;
	d->seen |= UINT32_C(1) << t->port;
	return 0;
}

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
	return refuse(d,
		      "expected %" PRIu32 " inputs but got %d inputs for model '%s'. Got input(s) "
		      "[%s], but missing required input(s) [%s]. Please provide all required "
		      "input(s).",
		      d->s->n_inputs, __builtin_popcount(d->seen), d->r->name, buffer_text(&got),
		      buffer_text(&missing));
}

static int read_inputs(struct decoder *d, struct node n)
{
	struct node_cursor c;
	struct node input;

	if (node_type(n) != NODE_ARRAY)
		return wrong_kind(d, "inputs", "array");
	for (c = node_elements(n); node_next(&c, &input);) {
		int r = read_input(d, input);

		if (r)
			return r;
	}
	if ((uint32_t)__builtin_popcount(d->seen) != d->s->n_inputs)
		return missing_inputs(d);
	d->r->n_inputs = d->s->n_inputs;
	return 0;
}

/* Outputs */

static void want_all(struct infer_request *r, bool binary)
{
	r->n_wanted = r->signature->n_outputs;
	for (uint32_t i = 0; i < r->n_wanted; i++) {
		r->wanted[i].port = i;
		r->wanted[i].binary = binary;
	}
}

/* Asked for twice, it comes once: at the first place, in the first form. */
static void want(struct infer_request *r, uint32_t port, bool binary)
{
	for (uint32_t i = 0; i < r->n_wanted; i++)
		if (r->wanted[i].port == port)
			return;
	r->wanted[r->n_wanted].port = port;
	r->wanted[r->n_wanted++].binary = binary;
}

static int read_output_form(struct decoder *d, struct node parameters, bool *ret_binary)
{
	static const struct node_key keys[] = { NODE_KEY("binary_data"), NODE_KEY("classification"),
						NODE_KEY("shared_memory_region") };
	struct node p[ARRAY_SIZE(keys)];
	int r = read_parameters(d, parameters, keys, ARRAY_SIZE(keys), p);

	if (r)
		return r;
	if (!node_is_absent(p[1]))
		return infer_request_refuse(
			d->r, INFER_UNSUPPORTED,
			"classification is not supported: take the tensor itself");
	if (!node_is_absent(p[2]))
		return refuse_shared_memory(d);
	*ret_binary = d->binary_output;
	if (!node_is_absent(p[0]) && !node_bool(p[0], ret_binary))
		return wrong_kind(d, "binary_data", "boolean");
	return 0;
}

static int read_output(struct decoder *d, struct node n)
{
	static const struct node_key keys[] = { NODE_KEY("name"), NODE_KEY("parameters") };
	struct node m[ARRAY_SIZE(keys)];
	bool binary = false;
	const char *name;
	size_t size;
	int32_t i;
	int r;

	if (node_type(n) != NODE_OBJECT)
		return wrong_kind(d, "outputs", "object");
	node_pick(n, keys, ARRAY_SIZE(keys), m);
	if (!node_string(m[0], &name, &size))
		return wrong_kind(d, "name", "string");
	i = find_port(d->s->outputs, d->s->n_outputs, name, size);
	if (i < 0)
		return refuse(d, "unexpected inference output '%s' for model '%s'",
			      echo(name, size).text, d->r->name);
	r = read_output_form(d, m[1], &binary);
	if (r)
		return r;
	want(d->r, (uint32_t)i, binary);
	return 0;
}

static int read_outputs(struct decoder *d, struct node n)
{
	struct node_cursor c;
	struct node output;

	if (!node_is_absent(n) && node_type(n) != NODE_ARRAY)
		return wrong_kind(d, "outputs", "array");
	for (c = node_elements(n); node_next(&c, &output);) {
		int r = read_output(d, output);

		if (r)
			return r;
	}
	if (!d->r->n_wanted)
		want_all(d->r, d->binary_output);
	return 0;
}

/* The whole */

static int read_id(struct decoder *d, struct node n)
{
	if (node_is_absent(n) || node_type(n) == NODE_NULL)
		return 0;
	if (!node_string(n, &d->id, &d->id_size))
		return wrong_kind(d, "id", "string");
	if (d->id_size > INFER_MAX_ID)
		return refuse(d, "the id has %zu bytes, and may have %d", d->id_size, INFER_MAX_ID);
	return 0;
}

static int read_request_parameters(struct decoder *d, struct node n)
{
	static const struct node_key keys[] = { NODE_KEY("binary_data_output") };
	struct node p[ARRAY_SIZE(keys)];
	int r = read_parameters(d, n, keys, ARRAY_SIZE(keys), p);

	if (r)
		return r;
	if (!node_is_absent(p[0]) && !node_bool(p[0], &d->binary_output))
		return wrong_kind(d, "binary_data_output", "boolean");
	return 0;
}

static int read_request(struct decoder *d, struct node n)
{
	enum {
		ID,
		PARAMETERS,
		INPUTS,
		OUTPUTS
	};
	static const struct node_key keys[] = {
		[ID] = NODE_KEY("id"),
		[PARAMETERS] = NODE_KEY("parameters"),
		[INPUTS] = NODE_KEY("inputs"),
		[OUTPUTS] = NODE_KEY("outputs"),
	};
	struct node m[ARRAY_SIZE(keys)];
	int r;

	if (node_type(n) != NODE_OBJECT)
		return refuse(d, "failed to parse the request JSON buffer: it is not an object");
	node_pick(n, keys, ARRAY_SIZE(keys), m);
	if ((r = read_id(d, m[ID])) || (r = read_request_parameters(d, m[PARAMETERS])) ||
	    (r = read_inputs(d, m[INPUTS])))
		return r;
	return read_outputs(d, m[OUTPUTS]);
}

static int additional_data(struct infer_request *r)
{
	return infer_request_refuse(r, INFER_INVALID,
				    "unexpected additional input data for model '%s'", r->name);
}

static int missing_data(struct infer_request *r, uint32_t input, uint64_t missing)
{
	return infer_request_refuse(r, INFER_INVALID,
				    "unexpected size for input '%s', expecting %" PRIu64
				    " additional bytes for model '%s'",
				    input_name(r, input), missing, r->name);
}

/* What follows the JSON must be the binary tensors, to the byte. */
static int check_body_size(struct infer_request *r)
{
	uint64_t left = r->body_size - r->json.size;

	if (r->body_size == INFER_BODY_UNKNOWN)
		return 0;
	for (uint32_t i = 0; i < r->n_binary; i++) {
		if (r->binary[i].size > left)
			return missing_data(r, r->binary[i].input, r->binary[i].size - left);
		left -= r->binary[i].size;
	}
	return left ? additional_data(r) : 0;
}

static int reserve_inputs(struct infer_request *r)
{
	uint64_t at[DEVSERVE_MAX_TENSORS], total = 0;
	void *base;

	for (uint32_t i = 0; i < r->n_inputs; i++) {
		uint64_t size = r->inputs[i].size ? r->inputs[i].size : 1;

		at[i] = total;
		if (__builtin_add_overflow(total, size, &total) ||
		    __builtin_add_overflow(total, ALIGNMENT - 1, &total))
			return infer_request_refuse(r, INFER_TOO_LARGE, "the inputs are too large");
		total &= ~(uint64_t)(ALIGNMENT - 1);
	}
	if (!total)
		return 0;
	if (r->memory->reserve(r->memory, total, &base, &r->block) < 0)
		return infer_request_refuse(r, INFER_UNAVAILABLE,
					    "no memory for %" PRIu64 " bytes of inputs now", total);
	r->has_block = true;
	for (uint32_t i = 0; i < r->n_inputs; i++)
		r->inputs[i].data = (char *)base + at[i];
	return 0;
}

static int fill_inputs(struct decoder *d)
{
	for (uint32_t i = 0; i < d->s->n_inputs; i++) {
		const struct tensor *t = &d->r->inputs[i];
		int r;

		if (node_is_absent(d->data[i]))
			continue;
		r = node_fill(d->data[i], t->dtype, t->shape, t->rank, t->data);
		if (r)
			return wrong_data(d, t, r);
	}
	return 0;
}

/* The JSON was read: its memory holds the id from now on. */
static int keep_id(struct decoder *d)
{
	struct infer_request *r = d->r;

	buffer_reset(&r->json);
	room_give(&r->json);
	if (!d->id_size)
		return 0;
	r->json = room_take();
	if (!room_for(&r->json, d->id_size))
		return infer_request_refuse(r, INFER_UNAVAILABLE, "no memory for the id now");
	buffer_append(&r->json, d->id, d->id_size);
	r->id = r->json.data;
	r->id_size = d->id_size;
	return 0;
}

static int bad_json(struct infer_request *r, int outcome, const char *why)
{
	switch (outcome) {
	case JSON_E_DEPTH:
		return infer_request_refuse(r, INFER_INVALID,
					    "JSON nesting depth exceeds maximum allowed limit (%d)",
					    JSON_MAX_DEPTH);
	case JSON_E_TOO_LARGE:
		return infer_request_refuse(r, INFER_TOO_LARGE, "the request JSON is too large");
	case JSON_E_MEMORY:
		return infer_request_refuse(r, INFER_UNAVAILABLE,
					    "no memory for the request JSON now");
	default:
		return infer_request_refuse(r, INFER_INVALID,
					    "failed to parse the request JSON buffer: %s", why);
	}
}

int decode_json(struct infer_request *r)
{
	struct decoder d;
	struct node root;
	const char *why;
	int e = json_parse(r->json.data, r->json.size, &root, &why);

	if (e)
		return bad_json(r, e, why);
	d.r = r;
	d.s = r->signature;
	d.id_size = 0;
	d.binary_output = false;
	d.seen = 0;
	if (!(e = read_request(&d, root)) && !(e = check_body_size(r)) &&
	    !(e = reserve_inputs(r)) && !(e = fill_inputs(&d)))
		e = keep_id(&d);
	json_close();
	r->decoded = !e;
	return e;
}

/* Raw requests */

static int refuse_raw_bytes(struct infer_request *r)
{
	return infer_request_refuse(
		r, INFER_INVALID,
		"For BYTE datatype raw input '%s', the model must have input shape [1]",
		input_name(r, 0));
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
		return size_mismatch(r, 0, unit, size);
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
	e = reserve_inputs(r);
	if (e)
		return e;
	want_all(r, true);
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
	const char *name = input_name(r, t->port);
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
				    input_name(r, t->port), r->name);
}

int decode_finish(struct infer_request *r)
{
	int e = 0;

	if (r->receiving < r->n_binary)
		return missing_data(r, r->binary[r->receiving].input,
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
