/* SPDX-License-Identifier: MIT */

/*
 * Whatever is written becomes JSON first, so that one reader (infer/json_parse.h) decides what
 * a number is and whether the datatype can hold it: the one that the server has.
 */

#include "cli/values.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "array/array.h"
#include "cli/model.h"
#include "array/npy.h"
#include "infer/dtype.h"
#include "infer/tensor.h"

#define SHOWN 60 /* bytes of a text that is refused */
#define MAX_ELEMENTS (INT64_C(1) << 24) /* that "..", and "*" make of nothing */

static int refuse(struct buffer *why, const struct model_port *p, const char *sentence)
{
	buffer_printf(why, "%s: %s", p->name, sentence);
	return EXIT_FAILURE;
}

/* Shape */

/* The extents along the first element of each array. Returns the depth. */
static uint32_t nesting(struct node n, int64_t *ret)
{
	uint32_t depth = 0;

	while (node_type(n) == NODE_ARRAY && depth < DEVSERVE_MAX_RANK) {
		struct node_cursor c = node_elements(n);
		struct node element, first = { 0 };

		for (ret[depth] = 0; node_next(&c, &element); ret[depth]++)
			if (!ret[depth])
				first = element;
		depth++;
		n = first;
	}
	return depth;
}

/* What the data is, written out; it may have a batch of one before it in the request. */
struct form {
	uint32_t rank;
	int64_t shape[DEVSERVE_MAX_RANK];
};

static int shape_of(const struct model_port *p, struct node n, struct form *form, int64_t *ret, struct buffer *why)
{
	form->rank = nesting(n, form->shape);
	if (form->rank == 1)
		return port_shape_flat(p, (uint64_t)form->shape[0], ret, why);
	return port_shape_like(p, form->shape, form->rank, ret, why);
}

/* Data */

static struct node element(struct node n, uint64_t i)
{
	struct node_cursor c = node_elements(n);
	struct node found = { 0 };

	for (uint64_t k = 0; k <= i; k++)
		if (!node_next(&c, &found))
			return (struct node){ 0 };
	return found;
}

static void put_value(struct buffer *why, struct node n)
{
	const char *text;
	double number;
	size_t size;
	bool yes;

	if (node_number(n, &number))
		buffer_printf(why, "%.17g", number);
	else if (node_bool(n, &yes))
		buffer_puts(why, yes ? "true" : "false");
	else if (node_string(n, &text, &size))
		buffer_printf(why, "\"%.*s\"%s", size < SHOWN ? (int)size : SHOWN, text, size < SHOWN ? "" : "...");
	else
		buffer_puts(why, node_type(n) == NODE_NULL ? "null" : node_type(n) == NODE_ARRAY ? "an array" : "an object");
}

static void refuse_shape(struct buffer *why, const struct node_place *at)
{
	buffer_puts(why, at->depth ? " isn't as long as its neighbours"
				   : ": there are more or fewer elements than its shape says");
}

/* "X[1] is 1.5, no INT32" */
static void refuse_value(struct buffer *why, uint32_t dtype, struct node n, int r)
{
	buffer_puts(why, " is ");
	put_value(why, n);
	if (r == NODE_E_RANGE)
		buffer_printf(why, ", a number that %s can't hold", dtype_name(dtype));
	else
		buffer_printf(why, ", no %s", dtype == DEVSERVE_BYTES ? "text" : dtype == DEVSERVE_BOOL ?
					      "true or false" : dtype_name(dtype));
}

static int refuse_place(struct buffer *why, const struct model_port *p, struct node n, const struct node_place *at,
			int r)
{
	buffer_puts(why, p->name);
	for (uint32_t k = 0; k < at->depth; k++) {
		buffer_printf(why, "[%" PRIu64 "]", at->index[k]);
		n = element(n, at->index[k]);
	}
	if (r == NODE_E_SHAPE)
		refuse_shape(why, at);
	else
		refuse_value(why, p->dtype, n, r);
	return EXIT_FAILURE;
}

static int allocate(struct array *a, uint64_t size, const struct model_port *p, struct buffer *why)
{
	int r = array_allocate(a, size);

	return r == 0 ? 0 : refuse(why, p, r == -E2BIG ? "that is too much data" : strerror(-r));
}

static int fill_half(const struct model_port *p, struct node n, const struct form *form, struct array *ret,
		     struct buffer *why)
{
	uint64_t elements = array_elements(ret);
	struct array wide = { .dtype = DEVSERVE_FP32 };
	struct node_place at;
	int r = allocate(&wide, elements * 4, p, why);

	if (r == 0)
		r = allocate(ret, elements * 2, p, why);
	if (r == 0) {
		r = node_fill(n, DEVSERVE_FP32, form->shape, form->rank, wide.data, &at);
		if (r)
			r = refuse_place(why, p, n, &at, r);
		else
			array_narrow(p->dtype, (const float *)(const void *)wide.data, ret->data, elements);
	}
	array_fini(&wide);
	return r;
}

static int fill(const struct model_port *p, struct node n, const struct form *form, struct array *ret,
		struct buffer *why)
{
	uint64_t size = array_elements(ret) * dtype_size(p->dtype);
	struct node_place at;
	int r = 0;

	if (!dtype_in_json(p->dtype))
		return fill_half(p, n, form, ret, why);
	if (p->dtype == DEVSERVE_BYTES)
		r = node_bytes_size(n, form->shape, form->rank, &size, &at);
	if (r)
		return refuse_place(why, p, n, &at, r);
	r = allocate(ret, size, p, why);
	if (r != 0)
		return r;
	r = node_fill(n, p->dtype, form->shape, form->rank, ret->data, &at);
	return r ? refuse_place(why, p, n, &at, r) : 0;
}

int values_from_node(const struct model_port *p, struct node n, const int64_t *shape, struct array *ret,
		     struct buffer *why)
{
	struct form form = { .rank = p->rank };
	int r = 0;

	if (node_type(n) != NODE_ARRAY)
		return refuse(why, p, "an array is wanted: [1,2,3]");
	ret->dtype = p->dtype;
	ret->rank = p->rank;
	if (shape)
		memcpy(ret->shape, shape, p->rank * sizeof(*shape));
	memcpy(form.shape, ret->shape, sizeof(form.shape));
	if (!shape)
		r = shape_of(p, n, &form, ret->shape, why);
	if (r != 0)
		return r;
	if (tensor_elements(ret->shape, ret->rank) < 0 ||
	    (uint64_t)tensor_elements(ret->shape, ret->rank) > ARRAY_MAX_BYTES)
		return refuse(why, p, "that is too much data");
	return fill(p, n, &form, ret, why);
}

int values_parse(const char *text, size_t size, struct buffer *padded, struct node *ret, const char **ret_why)
{
	buffer_append(padded, text, size);
	memset(buffer_reserve(padded, JSON_PADDING), 0, JSON_PADDING);
	return json_parse(padded->data, size, ret, ret_why);
}

/* What looks like a file or an array may have been meant as it is. */
static int hint_at_text(const struct model_port *p, struct buffer *why)
{
	if (p->dtype == DEVSERVE_BYTES)
		buffer_printf(why, "; text that begins with '[' or '@', or ends in .npy, is written as JSON: "
			      "%s='[\"@...\"]'", p->name);
	return EXIT_FAILURE;
}

/* @shown: what a person wrote. */
static int from_json(const struct model_port *p, const char *shown, const char *text, size_t size, struct array *ret,
		     struct buffer *why)
{
	_cleanup_buffer_ struct buffer padded = BUFFER_NULL;
	const char *reason;
	struct node n;
	int r;

	if (values_parse(text, size, &padded, &n, &reason) != 0) {
		buffer_printf(why, "%s: '%.*s%s' is ", p->name, SHOWN, shown, strlen(shown) > SHOWN ? "..." : "");
		buffer_puts(why, p->dtype == DEVSERVE_BYTES ? "no JSON" : "neither numbers with commas between nor JSON");
		return hint_at_text(p, why);
	}
	r = values_from_node(p, n, NULL, ret, why);
	json_close();
	return r;
}

/* The short forms */

/* "0..15" and "1*16" become what they stand for; other words stay as they are. */
static bool expand(const char *word, size_t size, struct buffer *json)
{
	long long first, last, n;
	int at = 0;

	if (sscanf(word, "%lld..%lld%n", &first, &last, &at) == 2 && (size_t)at == size) {
		if (last - first >= MAX_ELEMENTS || first - last >= MAX_ELEMENTS)
			return false;
		for (long long v = first; ; v += first <= last ? 1 : -1) {
			buffer_printf(json, "%lld,", v);
			if (v == last)
				return true;
		}
	}
	for (const char *star = memchr(word, '*', size); star;) {
		if (sscanf(star, "*%lld%n", &n, &at) != 1 || star + at != word + size || n < 0 ||
		    n > MAX_ELEMENTS)
			return false;
		for (long long i = 0; i < n; i++) {
			buffer_append(json, word, (size_t)(star - word));
			buffer_putc(json, ',');
		}
		return true;
	}
	buffer_append(json, word, size);
	buffer_putc(json, ',');
	return true;
}

static int from_words(const struct model_port *p, const char *text, struct array *ret, struct buffer *why)
{
	const char *shown = text;
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;

	buffer_putc(&json, '[');
	while (*text) {
		size_t size = strcspn(text, ",");
		_cleanup_free_ char *word = xstrndup(text, size);

		if (!expand(word, size, &json)) {
			buffer_printf(why, "%s: '%s' can't be expanded; write 0..15 or 1*16", p->name, word);
			return EXIT_FAILURE;
		}
		text += size + (text[size] == ',');
	}
	if (json.data[json.size - 1] == ',')
		json.size--;
	buffer_putc(&json, ']');
	return from_json(p, shown, json.data, json.size, ret, why);
}

/* One element of BYTES, as it is. */
static int from_bytes(const struct model_port *p, const char *bytes, size_t size, struct array *ret,
		      struct buffer *why)
{
	uint32_t length = (uint32_t)size;
	int r = port_shape_flat(p, 1, ret->shape, why);

	ret->dtype = p->dtype;
	ret->rank = p->rank;
	if (r == 0)
		r = allocate(ret, sizeof(length) + size, p, why);
	if (r != 0)
		return r;
	memcpy(ret->data, &length, sizeof(length));
	memcpy(ret->data + sizeof(length), bytes, size);
	return 0;
}

/* Files */

static int refuse_type(const struct model_port *p, const char *path, uint32_t dtype, struct buffer *why)
{
	buffer_printf(why, "%s takes %s, but %s holds %s; convert it with astype()", p->name, dtype_name(p->dtype),
		      path, dtype_name(dtype));
	return EXIT_FAILURE;
}

static int narrow(const struct model_port *p, struct array *a, struct buffer *why)
{
	struct array half = ARRAY_NULL;
	int r = allocate(&half, a->size / 2, p, why);

	if (r != 0)
		return r;
	array_narrow(DEVSERVE_BF16, (const float *)(const void *)a->data, half.data, a->size / 4);
	free(a->data);
	a->data = half.data;
	a->size = half.size;
	a->dtype = DEVSERVE_BF16;
	return 0;
}

static int from_npy(const struct model_port *p, const char *path, struct array *ret, struct buffer *why)
{
	_cleanup_buffer_ struct buffer reason = BUFFER_NULL;
	int r;

	if (npy_read(path, ret, &reason) < 0) {
		refuse(why, p, buffer_text(&reason));
		return hint_at_text(p, why);
	}
	if (p->dtype == DEVSERVE_BF16 && ret->dtype == DEVSERVE_FP32) {
		r = narrow(p, ret, why); /* numpy has no such type */
		if (r != 0)
			return r;
	}
	if (ret->dtype != p->dtype)
		return refuse_type(p, path, ret->dtype, why);
	r = port_shape_like(p, ret->shape, ret->rank, ret->shape, why);
	ret->rank = p->rank;
	return r;
}

int values_read_file(const char *path, struct buffer *ret)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	int r = f ? 0 : -errno;
	size_t n = 1;

	while (r == 0 && n) {
		n = fread(buffer_reserve(ret, 65536), 1, 65536, f);
		buffer_grow(ret, n);
		r = ferror(f) ? -errno : ret->size > ARRAY_MAX_BYTES ? -EFBIG : 0;
	}
	if (f && f != stdin)
		fclose(f);
	return r;
}

static int from_file(const struct model_port *p, const char *path, struct array *ret, struct buffer *why)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	int r;

	if (strcmp(path_suffix(path), ".npy") == 0)
		return from_npy(p, path, ret, why);
	r = values_read_file(path, &text);
	if (r < 0) {
		buffer_printf(why, "%s: %s: %s", p->name, path, strerror(-r));
		return hint_at_text(p, why);
	}
	if (p->dtype == DEVSERVE_BYTES && strcmp(path_suffix(path), ".json") != 0)
		return from_bytes(p, buffer_text(&text), text.size, ret, why);
	return from_json(p, path, buffer_text(&text), text.size, ret, why);
}

int values_from_text(const struct model_port *p, const char *text, struct array *ret, struct buffer *why)
{
	if (text[0] == '@')
		return from_file(p, text + 1, ret, why);
	if (strcmp(path_suffix(text), ".npy") == 0)
		return from_npy(p, text, ret, why);
	if (text[0] == '[')
		return from_json(p, text, text, strlen(text), ret, why);
	if (p->dtype == DEVSERVE_BYTES)
		return from_bytes(p, text, strlen(text), ret, why);
	return from_words(p, text, ret, why);
}
