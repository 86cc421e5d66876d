/* SPDX-License-Identifier: MIT */
#include "infer/request.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "infer/decode.h"
#include "infer/json_parse.h"
#include "infer/memory.h"
#include "infer/room.h"
#include "infer/signature.h"

void infer_request_init(struct infer_request *r, const char *name, struct signature *s,
			struct infer_memory *memory)
{
	memset(r, 0, offsetof(struct infer_request, done));
	r->name = name;
	r->signature = signature_ref(s);
	r->memory = memory;
	r->batch = 1;
	r->json = room_take();
}

void infer_request_fini(struct infer_request *r)
{
	infer_request_charge(r, 0);
	if (r->has_block)
		r->memory->release(r->memory, r->block);
	room_give(&r->json);
	buffer_fini(&r->error);
	signature_unref(r->signature);
	memset(r, 0, offsetof(struct infer_request, done));
}

int infer_request_try_charge(struct infer_request *r, size_t size)
{
	int e = 0;

	if (size <= INFER_UNCOUNTED)
		size = 0;
	if (size == r->charged)
		return 0;
	r->memory->discharge(r->memory, r->charged);
	r->charged = 0;
	if (size)
		e = r->memory->charge(r->memory, size);
	if (!e)
		r->charged = size;
	return e;
}

int infer_request_recharge(struct infer_request *r, size_t size)
{
	int e = infer_request_try_charge(r, size);

	if (e == -EFBIG)
		return infer_request_refuse(r, INFER_TOO_LARGE,
					    "JSON would take %zu bytes of memory, which is more than "
					    "all requests may (--max-memory); use binary tensors",
					    size);
	if (e < 0)
		return infer_request_refuse(r, INFER_UNAVAILABLE,
					    "no memory for %zu bytes of JSON now", size);
	return 0;
}

int infer_request_refuse(struct infer_request *r, enum infer_status status, const char *format, ...)
{
	va_list args;

	assert(status != INFER_OK);
	if (r->status != INFER_OK)
		return (int)r->status;
	r->status = status;
	va_start(args, format);
	buffer_reset(&r->error);
	buffer_vprintf(&r->error, format, args);
	va_end(args);
	return (int)status;
}

/* Where the JSON ends; INFER_BODY_UNKNOWN: with the body. A chunked raw body is collected there. */
static uint64_t json_end(const struct infer_request *r)
{
	return r->raw || r->json_size == INFER_BODY_UNKNOWN ? r->body_size : r->json_size;
}

#define MIN_CHUNK 1024

static int make_room(struct infer_request *r)
{
	uint64_t end = json_end(r),
		 left = end == INFER_BODY_UNKNOWN ? MIN_CHUNK : end - r->json.size;

	if (left > SIZE_MAX - JSON_PADDING || !room_for(&r->json, (size_t)left + JSON_PADDING))
		return infer_request_refuse(r, INFER_UNAVAILABLE, "no memory for the request now");
	return infer_request_charge(r, r->json.room);
}

int infer_request_body(struct infer_request *r, uint64_t body_size, uint64_t json_size)
{
	r->body_size = body_size;
	r->json_size = json_size;
	r->raw = json_size == 0 || body_size == 0;
	if (json_size != INFER_BODY_UNKNOWN && json_size > body_size)
		return infer_request_refuse(r, INFER_INVALID,
					    "inference header size should be in range (0, %" PRIu64
					    "), got: %" PRIu64,
					    body_size, json_size);
	if (r->raw && body_size != INFER_BODY_UNKNOWN)
		return decode_raw(r, body_size);
	return make_room(r);
}

static void skip_complete(struct infer_request *r)
{
	while (r->receiving < r->n_binary && r->receiving_at == r->binary[r->receiving].size) {
		r->receiving++;
		r->receiving_at = 0;
	}
}

/* Bytes that nobody wants. */
static void room_for_nothing(void **ret_base, size_t *ret_size)
{
	static _Thread_local char sink[4096];

	*ret_base = sink;
	*ret_size = sizeof(sink);
}

void infer_request_room(struct infer_request *r, void **ret_base, size_t *ret_size)
{
	uint64_t room;

	if (r->status != INFER_OK) {
		room_for_nothing(ret_base, ret_size);
	} else if (!r->decoded) {
		room = r->json.room - r->json.size - JSON_PADDING - 1;
		if (room > json_end(r) - r->json.size)
			room = json_end(r) - r->json.size;
		*ret_base = r->json.data + r->json.size;
		*ret_size = (size_t)room;
	} else {
		skip_complete(r);
		if (r->receiving == r->n_binary) {
			room_for_nothing(ret_base, ret_size);
			return;
		}
		*ret_base = (char *)r->inputs[r->binary[r->receiving].input].data + r->receiving_at;
		*ret_size = (size_t)(r->binary[r->receiving].size - r->receiving_at);
	}
}

static int filled_json(struct infer_request *r, size_t n)
{
	buffer_grow(&r->json, n);
	if (r->json.size == json_end(r))
		return decode_json(r);
	return make_room(r);
}

int infer_request_filled(struct infer_request *r, size_t n)
{
	if (r->status != INFER_OK)
		return (int)r->status;
	if (!n)
		return 0;
	r->received += n;
	if (!r->decoded)
		return filled_json(r, n);
	skip_complete(r);
	if (r->receiving == r->n_binary)
		return infer_request_refuse(r, INFER_INVALID,
					    "unexpected additional input data for model '%s'",
					    r->name);
	r->receiving_at += n;
	skip_complete(r);
	return 0;
}

/* A chunked raw body was collected, for its size tells the shape. */
static int place_raw(struct infer_request *r)
{
	size_t size = r->json.size;
	int e = decode_raw(r, size);

	if (e)
		return e;
	memcpy((char *)r->inputs[0].data + r->receiving_at, buffer_text(&r->json), size);
	r->receiving_at += size;
	room_give(&r->json);
	return infer_request_charge(r, 0);
}

/* The body ended before its JSON did, or where the JSON ends with it. */
static int end_json(struct infer_request *r)
{
	if (r->body_size != INFER_BODY_UNKNOWN)
		return infer_request_refuse(r, INFER_INVALID,
					    "the body ended after %" PRIu64 " of %" PRIu64 " bytes",
					    r->received, r->body_size);
	r->body_size = r->received;
	if (!r->raw && r->json_size != INFER_BODY_UNKNOWN)
		return infer_request_refuse(r, INFER_INVALID,
					    "inference header size should be in range (0, %" PRIu64
					    "), got: %" PRIu64,
					    r->body_size, r->json_size);
	return r->raw || !r->json.size ? place_raw(r) : decode_json(r);
}

int infer_request_end(struct infer_request *r)
{
	int e = r->status == INFER_OK && !r->decoded ? end_json(r) : (int)r->status;

	if (e)
		return e;
	skip_complete(r);
	return decode_finish(r);
}
