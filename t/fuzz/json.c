/* SPDX-License-Identifier: MIT */

/*
 * Any bytes are JSON or not, and who looks by hand agrees with simdjson. What is JSON is walked,
 * its arrays become tensors of every datatype, its strings are written and read again.
 */

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/memory.h"
#include "infer/dtype.h"
#include "infer/json_numbers.h"
#include "infer/json_parse.h"
#include "infer/json_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Strings, to be written once the document that they lie in is gone. */
struct strings {
	struct buffer text;
	size_t n;
};

static void keep_string(const char *text, size_t size, struct strings *s)
{
	uint32_t length = (uint32_t)size;

	assert(json_is_utf8(text, size));
	buffer_append(&s->text, &length, sizeof(length));
	buffer_append(&s->text, text, size);
	s->n++;
}

static void fill(struct node array, uint32_t dtype, int64_t n)
{
	struct node_place place;
	uint64_t size = (uint64_t)n * dtype_size(dtype);
	char *data, *text;
	int r = 0;

	if (dtype == DEVSERVE_BYTES)
		r = node_bytes_size(array, &n, 1, &size, &place);
	if (r)
		return;
	data = xmalloc(size + !size); /* of exactly that size */
	r = node_fill(array, dtype, &n, 1, data, &place);
	assert(r ? place.depth == 1 && place.index[0] < (uint64_t)n : true);
	if (!r && dtype != DEVSERVE_BYTES && n) {
		text = xmalloc((size_t)n * JSON_NUMBER_SIZE);
		assert(json_numbers(text, dtype, data, (size_t)n));
		free(text);
	}
	free(data);
}

static void try_tensors(struct node array)
{
	struct node_cursor c = node_elements(array);
	struct node element;
	int64_t n = 0;

	while (node_next(&c, &element))
		n++;
	for (uint32_t dtype = DEVSERVE_BOOL; dtype <= DEVSERVE_BYTES; dtype++)
		if (dtype_in_json(dtype))
			fill(array, dtype, n);
}

static void walk(struct node n, unsigned depth, struct strings *s)
{
	struct node_cursor c;
	struct node inner;
	const char *text;
	size_t size;

	assert(depth <= JSON_MAX_DEPTH);
	switch (node_type(n)) {
	case NODE_STRING:
		assert(node_string(n, &text, &size));
		keep_string(text, size, s);
		break;
	case NODE_ARRAY:
		try_tensors(n);
		for (c = node_elements(n); node_next(&c, &inner);)
			walk(inner, depth + 1, s);
		break;
	case NODE_OBJECT:
		for (c = node_members(n); node_next_member(&c, &text, &size, &inner);) {
			keep_string(text, size, s);
			walk(inner, depth + 1, s);
		}
		break;
	case NODE_ABSENT:
		assert(false);
		break;
	default:
		break;
	}
}

/* Written as an array and read again they are the same. */
static void check_strings(const struct strings *s)
{
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;
	struct node root, element;
	struct node_cursor c;
	const char *at = buffer_text(&s->text), *why, *text;
	uint32_t length;
	size_t size;

	json_array(&json, NULL);
	for (size_t i = 0; i < s->n; i++, at += sizeof(length) + length) {
		memcpy(&length, at, sizeof(length));
		json_string_n(&json, NULL, at + sizeof(length), length);
	}
	json_array_end(&json);
	size = json.size;
	buffer_reserve(&json, JSON_PADDING);
	assert(json_parse(json.data, size, &root, &why) == 0);
	at = buffer_text(&s->text);
	for (c = node_elements(root); node_next(&c, &element); at += sizeof(length) + length) {
		memcpy(&length, at, sizeof(length));
		assert(node_string(element, &text, &size) && size == length);
		assert(!size || memcmp(text, at + sizeof(length), size) == 0);
	}
	assert(at == buffer_text(&s->text) + s->text.size);
	json_close();
}

/* No double holds 1e309: all else that the text may have wrong has a place. */
static bool may_be_too_large(const uint8_t *bytes, size_t size)
{
	size_t digits = 0;

	for (size_t i = 0; i < size; i++) {
		digits = bytes[i] >= '0' && bytes[i] <= '9' ? digits + 1 : 0;
		if (digits > 300 || bytes[i] == 'e' || bytes[i] == 'E')
			return true;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct strings strings = { .n = 0 };
	struct json_mistake m;
	char *text = xmalloc(size + JSON_PADDING);
	struct node root;
	const char *why;
	int e;

	memcpy(text, bytes, size);
	memset(text + size, '7', JSON_PADDING);
	e = json_parse(text, size, &root, &why);
	json_find_mistake(text, size, &m);
	free(text);
	assert(m.line >= 1 && m.column >= 1 && m.line + m.column <= size + 2);
	if (e) {
		assert(e == JSON_E_SYNTAX || e == JSON_E_DEPTH);
		assert(m.what || may_be_too_large(bytes, size));
		return 0;
	}
	assert(!m.what);
	walk(root, 0, &strings);
	json_close();
	check_strings(&strings);
	buffer_fini(&strings.text);
	return 0;
}
