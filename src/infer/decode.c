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
#include "infer/request.h"
#include "infer/room.h"
#include "infer/signature.h"

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
		      decode_input_name(d->r, t->port), INT64_MAX);
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
			      decode_input_name(d->r, t->port), model);
	if (d->seen && t->shape[0] != d->r->batch)
		return refuse(d, "input '%s' batch size does not match other inputs for '%s'",
			      decode_input_name(d->r, t->port), model);
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
			      decode_input_name(d->r, t->port));
	if (outcome == NODE_E_RANGE)
		return refuse(
			d, "Unable to parse 'data': a number is out of range for %s (input '%s')",
			dtype_name(t->dtype), decode_input_name(d->r, t->port));
	return refuse(d, "Unable to parse 'data': attempt to access JSON non-%s as %s (input '%s')",
		      kind, kind, decode_input_name(d->r, t->port));
}

/* An element takes a byte of JSON at least: a shape that promises more is a lie. */
static int size_json(struct decoder *d, struct node data, struct tensor *t)
{
	int r = 0;

	if (t->dtype == DEVSERVE_FP16 || t->dtype == DEVSERVE_BF16)
		return refuse(d,
			      "receiving %s data via JSON is not supported. Please use the binary "
			      "data format for input %s",
			      dtype_name(t->dtype), decode_input_name(d->r, t->port));
	if (node_type(data) != NODE_ARRAY)
		return wrong_kind(d, "data", "array");
	if (tensor_elements(t->shape, t->rank) > (int64_t)d->r->json.size)
		return wrong_data(d, t, NODE_E_SHAPE);
	if (t->dtype == DEVSERVE_BYTES)
		r = node_bytes_size(data, t->shape, t->rank, &t->size);
	d->data[t->port] = data;
	return r ? wrong_data(d, t, r) : 0;
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
		return decode_size_mismatch(r, t->port, t->size, size);
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
			      decode_input_name(d->r, t->port));
	if (node_is_absent(p[0]))
		return size_json(d, data, t);
	if (!node_is_absent(data))
		return refuse(d, "input '%s' has both 'data' and 'binary_data_size'",
			      decode_input_name(d->r, t->port));
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
		decode_want_all(d->r, d->binary_output);
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

/* What follows the JSON must be the binary tensors, to the byte. */
static int check_body_size(struct infer_request *r)
{
	uint64_t left = r->body_size - r->json.size;

	if (r->body_size == INFER_BODY_UNKNOWN)
		return 0;
	for (uint32_t i = 0; i < r->n_binary; i++) {
		if (r->binary[i].size > left)
			return decode_missing_data(r, r->binary[i].input, r->binary[i].size - left);
		left -= r->binary[i].size;
	}
	return left ? additional_data(r) : 0;
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
	    !(e = decode_reserve(r)) && !(e = fill_inputs(&d)))
		e = keep_id(&d);
	json_close();
	r->decoded = !e;
	return e;
}
