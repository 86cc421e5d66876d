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
 * Sentences are Triton's where it has one, for clients match them; the place comes behind.
 */

#include "infer/decode.h"

#include <inttypes.h>

#include "base/memory.h"
#include "infer/decoder.h"
#include "infer/json_text.h"
#include "infer/room.h"
#include "infer/signature.h"

static int read_id(struct decoder *d, struct node n)
{
	if (node_is_absent(n) || node_type(n) == NODE_NULL)
		return 0;
	if (!node_string(n, &d->id, &d->id_size))
		return decoder_wrong_kind(d, "id", "string");
	if (d->id_size > INFER_MAX_ID)
		return infer_request_refuse(d->r, INFER_INVALID,
					    "the id has %zu bytes, and may have %d", d->id_size,
					    INFER_MAX_ID);
	return 0;
}

static int read_request_parameters(struct decoder *d, struct node n)
{
	enum {
		BINARY,
		TIMEOUT
	};
	static const struct node_key keys[] = {
		[BINARY] = NODE_KEY("binary_data_output"),
		[TIMEOUT] = NODE_KEY("timeout"),
	};
	struct node p[ARRAY_SIZE(keys)];
	int r = decoder_parameters(d, n, keys, ARRAY_SIZE(keys), p);

	if (r)
		return r;
	if (!node_is_absent(p[BINARY]) && !node_bool(p[BINARY], &d->binary_output))
		return decoder_wrong_kind(d, "parameters.binary_data_output", "boolean");
	if (!node_is_absent(p[TIMEOUT]) && !node_uint(p[TIMEOUT], &d->r->timeout_us))
		return decoder_wrong_kind(d, "parameters.timeout", "unsigned integer");
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
		return infer_request_refuse(
			d->r, INFER_INVALID,
			"failed to parse the request JSON buffer: it is not an object");
	if ((r = decoder_pick(d, n, keys, ARRAY_SIZE(keys), m)) || (r = read_id(d, m[ID])) || (r = read_request_parameters(d, m[PARAMETERS])) ||
	    (r = decode_inputs(d, m[INPUTS])))
		return r;
	return decode_outputs(d, m[OUTPUTS]);
}

static int additional_data(struct infer_request *r)
{
	return infer_request_refuse(r, INFER_INVALID,
				    "unexpected additional input data for model '%s'", r->name);
}

/* A chunked body doesn't say its size, but its JSON promises one, and memory is kept for it. */
static int check_promise(struct infer_request *r)
{
	uint64_t total = r->json.size;

	for (uint32_t i = 0; i < r->n_binary; i++)
		if (__builtin_add_overflow(total, r->binary[i].size, &total))
			total = UINT64_MAX;
	if (!r->max_body || total <= r->max_body)
		return 0;
	return infer_request_refuse(r, INFER_TOO_LARGE,
				    "the inputs' sizes make a body of more than %" PRIu64
				    " bytes (--max-body)",
				    r->max_body);
}

/* What follows the JSON must be the binary tensors, to the byte. */
static int check_body_size(struct infer_request *r)
{
	uint64_t left = r->body_size - r->json.size;

	if (r->body_size == INFER_BODY_UNKNOWN)
		return check_promise(r);
	for (uint32_t i = 0; i < r->n_binary; i++) {
		if (r->binary[i].size > left)
			return decode_missing_data(r, r->binary[i].input, r->binary[i].size - left);
		left -= r->binary[i].size;
	}
	return left ? additional_data(r) : 0;
}

/* The JSON was read: its memory holds the id from now on. */
static int keep_id(struct decoder *d)
{
	struct infer_request *r = d->r;

	buffer_reset(&r->json);
	room_give(&r->json);
	infer_request_charge(r, 0);
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

/* simdjson has one sentence for most mistakes, and no place. */
static int bad_text(struct infer_request *r)
{
	struct json_mistake m;

	json_find_mistake(r->json.data, r->json.size, &m);
	return infer_request_refuse(r, INFER_INVALID,
				    "failed to parse the request JSON buffer: %s (at line %zu, "
				    "column %zu)",
				    m.what ? m.what : "it isn't understood", m.line, m.column);
}

static int too_deep(struct infer_request *r)
{
	struct json_mistake m;

	json_find_mistake(r->json.data, r->json.size, &m);
	return infer_request_refuse(r, INFER_INVALID,
				    "JSON nesting depth exceeds maximum allowed limit (%d) (at line "
				    "%zu, column %zu)",
				    JSON_MAX_DEPTH, m.line, m.column);
}

static int bad_json(struct infer_request *r, int outcome)
{
	switch (outcome) {
	case JSON_E_DEPTH:
		return too_deep(r);
	case JSON_E_TOO_LARGE:
		return infer_request_refuse(r, INFER_TOO_LARGE, "the request JSON is too large");
	case JSON_E_MEMORY:
		return infer_request_refuse(r, INFER_UNAVAILABLE,
					    "no memory for the request JSON now");
	default:
		return bad_text(r);
	}
}

int decode_json(struct infer_request *r)
{
	struct decoder d;
	struct node root;
	const char *why;
	int e = infer_request_charge(r, r->json.room + json_memory(r->json.data, r->json.size));

	if (e)
		return e;
	e = json_parse(r->json.data, r->json.size, &root, &why);
	if (e)
		return bad_json(r, e);
	d.r = r;
	d.s = r->signature;
	d.id_size = 0;
	d.binary_output = false;
	d.seen = 0;
	d.list = NULL;
	d.within.depth = 0;
	if (!(e = read_request(&d, root)) && !(e = check_body_size(r)) &&
	    !(e = decode_reserve(r)) && !(e = decode_fill(&d)))
		e = keep_id(&d);
	json_close();
	r->decoded = !e;
	return e;
}
