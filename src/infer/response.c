/* SPDX-License-Identifier: MIT */

/*
 * Response
 *
 * The JSON is written by hand: for a small binary tensor it is all the work there is. Each
 * part makes room for the most it could need, then copies.
 *
 * Outputs lie where a worker may still write. Lengths are read once and checked; bytes that
 * change under our hands spoil what the client gets, nothing else.
 */

#include "infer/request.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "infer/dtype.h"
#include "infer/json_numbers.h"
#include "infer/json_parse.h"
#include "infer/room.h"
#include "infer/signature.h"

#define NUMBERS_AT_ONCE 256
#define MAX_DIGITS 20
/* What a member costs beside a name and its extents. */
#define MAX_FRAME 192
#define MAX_ESCAPE 6 /* bytes of text for one of a string */

/* There is room. */
static void add(struct buffer *b, const char *text, size_t size)
{
	memcpy(b->data + b->size, text, size);
	b->size += size;
}

#define ADD(b, literal) add(b, literal, sizeof(literal) - 1)

static void add_uint(struct buffer *b, uint64_t v)
{
	char digits[MAX_DIGITS];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + v % 10);
	while (v /= 10);
	add(b, digits + at, sizeof(digits) - at);
}

static bool is_plain(const char *text, size_t size)
{
	bool plain = true;

	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		plain &= c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
	}
	return plain;
}

static void add_string(struct buffer *b, const char *text, size_t size)
{
	if (!is_plain(text, size)) {
		if (b->data[b->size - 1] == ',')
			b->size--; /* json_string_n() puts its own */
		json_string_n(b, NULL, text, size);
		return;
	}
	ADD(b, "\"");
	add(b, text, size);
	ADD(b, "\"");
}

static int no_memory(struct infer_request *r)
{
	return infer_request_refuse(r, INFER_UNAVAILABLE,
				    "no memory for the answer as JSON now; ask for binary data");
}

/* Room for @more bytes, which count before they are written. False: there is none. */
static bool make_room(struct infer_request *r, struct buffer *b, size_t more)
{
	return infer_request_try_charge(r, b->size + more) == 0 && room_for(b, more);
}

/* There is no room for JSON that has @size bytes in the end: now, or never. */
static int refuse_size(struct infer_request *r, size_t size)
{
	int e = infer_request_charge(r, size);

	return e ? e : no_memory(r);
}

/* Data */

static int not_finite(struct infer_request *r, const struct tensor *t)
{
	return infer_request_refuse(r, INFER_INVALID,
				    "output '%s' has a NaN or an infinity, which JSON cannot "
				    "say. Please use the binary data format",
				    r->signature->outputs[t->port].name);
}

/* The @left numbers at @from don't fit behind @size bytes: count what they would take. */
static int refuse_numbers(struct infer_request *r, const struct tensor *t, const char *from,
			  uint64_t left, size_t size)
{
	char text[NUMBERS_AT_ONCE * JSON_NUMBER_SIZE];

	while (left) {
		size_t n = left < NUMBERS_AT_ONCE ? (size_t)left : NUMBERS_AT_ONCE;
		const char *end = json_numbers(text, t->dtype, from, n);

		if (!end)
			return not_finite(r, t);
		size += (size_t)(end - text);
		from += n * dtype_size(t->dtype);
		left -= n;
	}
	return refuse_size(r, size);
}

static int encode_numbers(struct infer_request *r, const struct tensor *t, struct buffer *b)
{
	const char *from = t->data;
	size_t size = dtype_size(t->dtype);
	uint64_t left = t->size / size;

	while (left) {
		size_t n = left < NUMBERS_AT_ONCE ? (size_t)left : NUMBERS_AT_ONCE;
		char *end;

		if (!make_room(r, b, n * JSON_NUMBER_SIZE))
			return refuse_numbers(r, t, from, left, b->size);
		end = json_numbers(b->data + b->size, t->dtype, from, n);
		if (!end)
			return not_finite(r, t);
		b->size = (size_t)(end - b->data);
		from += n * size;
		left -= n;
	}
	if (t->size)
		b->size--; /* the last comma */
	return 0;
}

/* With its quotes and its comma, at most, unless it changes meanwhile. */
static size_t spelt_size(const char *text, size_t size)
{
	size_t n = size + 3;

	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		n += c < 0x20 || c == 0x7f || c == '"' || c == '\\' ? MAX_ESCAPE - 1 : 0;
	}
	return n;
}

/* @left: bytes of the elements behind it. */
static int encode_element(struct infer_request *r, const struct tensor *t, const char *text,
			  size_t size, uint64_t left, struct buffer *b)
{
	size_t spelt = spelt_size(text, size);

	if (!json_is_utf8(text, size))
		return infer_request_refuse(
			r, INFER_INVALID,
			"output '%s' has BYTES that are not UTF-8, which JSON cannot "
			"say. Please use the binary data format",
			r->signature->outputs[t->port].name);
	if (!make_room(r, b, spelt))
		return refuse_size(r, b->size + spelt + left);
	add_string(b, text, size);
	if (!room_for(b, 1))
		return no_memory(r);
	ADD(b, ",");
	return 0;
}

static int encode_bytes(struct infer_request *r, const struct tensor *t, struct buffer *b)
{
	const char *from = t->data;
	uint32_t length;

	for (uint64_t at = 0; at < t->size; at += length) {
		int e;

		if (t->size - at >= sizeof(length))
			memcpy(&length, from + at, sizeof(length));
		if (t->size - at < sizeof(length) || length > t->size - at - sizeof(length))
			return infer_request_refuse(r, INFER_INTERNAL,
						    "output '%s' has a BYTES element that is cut",
						    r->signature->outputs[t->port].name);
		at += sizeof(length);
		e = encode_element(r, t, from + at, length, t->size - at - length, b);
		if (e)
			return e;
	}
	if (t->size)
		b->size--; /* the last comma */
	return 0;
}

static int encode_data(struct infer_request *r, const struct tensor *t, struct buffer *b)
{
	int e;

	assert(dtype_in_json(t->dtype)); /* else the request was refused */
	ADD(b, ",\"data\":[");
	e = t->dtype == DEVSERVE_BYTES ? encode_bytes(r, t, b) : encode_numbers(r, t, b);
	if (e)
		return e;
	if (!room_for(b, MAX_FRAME))
		return no_memory(r);
	ADD(b, "]");
	return 0;
}

/* Frames */

static int encode_output(struct infer_request *r, const struct tensor *t, bool binary,
			 struct buffer *b)
{
	const char *name = r->signature->outputs[t->port].name, *dtype = dtype_name(t->dtype);
	size_t size = strlen(name);

	if (!room_for(b, MAX_ESCAPE * size + t->rank * (MAX_DIGITS + 1) + MAX_FRAME))
		return no_memory(r);
	ADD(b, "{\"name\":");
	add_string(b, name, size);
	ADD(b, ",\"datatype\":\"");
	add(b, dtype, strlen(dtype));
	ADD(b, "\",\"shape\":[");
	for (uint32_t i = 0; i < t->rank; i++) {
		if (i)
			ADD(b, ",");
		add_uint(b, (uint64_t)t->shape[i]);
	}
	ADD(b, "]");
	if (!binary)
		return encode_data(r, t, b);
	ADD(b, ",\"parameters\":{\"binary_data_size\":");
	add_uint(b, t->size);
	ADD(b, "}");
	return 0;
}

static int encode(struct infer_request *r, const char *name, struct buffer *b)
{
	size_t size = strlen(name);

	if (!room_for(b, MAX_ESCAPE * (size + r->id_size) + MAX_FRAME))
		return no_memory(r);
	ADD(b, "{\"model_name\":");
	add_string(b, name, size);
	ADD(b, ",\"model_version\":\"1\"");
	if (r->id) {
		ADD(b, ",\"id\":");
		add_string(b, r->id, r->id_size);
	}
	ADD(b, ",\"outputs\":[");
	for (uint32_t i = 0; i < r->n_wanted; i++) {
		int e;

		if (i)
			ADD(b, ",");
		e = encode_output(r, &r->outputs[r->wanted[i].port], r->wanted[i].binary, b);
		if (e)
			return e;
		ADD(b, "}");
	}
	ADD(b, "]}");
	b->data[b->size] = '\0';
	return 0;
}

static int list_parts(const struct infer_request *r, struct iovec *iov, bool *ret_binary)
{
	int n = 0;

	*ret_binary = false;
	for (uint32_t i = 0; i < r->n_wanted; i++) {
		const struct tensor *t = &r->outputs[r->wanted[i].port];

		if (!r->wanted[i].binary)
			continue;
		*ret_binary = true;
		if (t->size)
			iov[n++] = (struct iovec){ t->data, t->size };
	}
	return n;
}

int infer_response_encode(struct infer_request *r, const char *name, struct buffer *json,
			  struct iovec *iov, int *ret_n, bool *ret_binary)
{
	size_t before = json->size;

	if (r->status == INFER_OK && !encode(r, name, json) &&
	    !infer_request_charge(r, json->size)) {
		*ret_n = list_parts(r, iov, ret_binary);
		return 0;
	}
	json->size = before;
	*ret_n = 0;
	*ret_binary = false;
	infer_error_encode(buffer_text(&r->error), r->error.size, json);
	return (int)r->status;
}

void infer_error_encode(const char *sentence, size_t size, struct buffer *json)
{
	buffer_puts(json, "{\"error\":");
	json_string_n(json, NULL, sentence, size);
	buffer_putc(json, '}');
}
