/* SPDX-License-Identifier: MIT */
#include "weights/header.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "infer/dtype.h"
#include "infer/json_parse.h"

struct reader {
	uint64_t data_at, data_size; /* of the file */
	struct header header;
	size_t room;
	struct buffer *why;
};

void header_fini(struct header *h)
{
	for (size_t i = 0; i < h->n; i++)
		free(h->tensors[i].name);
	free(h->tensors);
	*h = (struct header)HEADER_NULL;
}

int header_size(const unsigned char first[8], uint64_t file_size, uint64_t *ret, struct buffer *why)
{
	uint64_t size = 0;

	if (file_size < 8) {
		buffer_printf(why, "has %" PRIu64 " bytes, and a safetensors file begins with eight that "
			      "tell the length of its header", file_size);
		return HEADER_REFUSED;
	}
	for (unsigned i = 0; i < 8; i++)
		size |= (uint64_t)first[i] << 8 * i;
	if (size > HEADER_MAX) {
		buffer_printf(why, "says that its header has %" PRIu64 " bytes, and devserve reads %" PRIu64
			      " at most: is it a safetensors file?", size, (uint64_t)HEADER_MAX);
		return HEADER_REFUSED;
	}
	if (size > file_size - 8) {
		buffer_printf(why, "is cut off: its header of %" PRIu64 " bytes is longer than the file of %" PRIu64,
			      size, file_size);
		return HEADER_REFUSED;
	}
	*ret = size;
	return 0;
}

/* One tensor */

static int refuse(struct reader *r, const struct header_tensor *t, const char *what)
{
	buffer_printf(r->why, "\"%s\" %s", t->name, what);
	return HEADER_REFUSED;
}

static int read_dtype(struct reader *r, struct node n, struct header_tensor *t)
{
	static const struct {
		const char *name;
		uint32_t dtype;
	} known[] = {
		{ "F32", DEVSERVE_FP32 }, { "F16", DEVSERVE_FP16 }, { "BF16", DEVSERVE_BF16 },
		{ "F64", DEVSERVE_FP64 }, { "I8", DEVSERVE_INT8 },  { "I16", DEVSERVE_INT16 },
		{ "I32", DEVSERVE_INT32 }, { "I64", DEVSERVE_INT64 }, { "U8", DEVSERVE_UINT8 },
		{ "U16", DEVSERVE_UINT16 }, { "U32", DEVSERVE_UINT32 }, { "U64", DEVSERVE_UINT64 },
		{ "BOOL", DEVSERVE_BOOL },
	};
	const char *text;
	size_t size;

	if (!node_string(n, &text, &size))
		return refuse(r, t, "has no \"dtype\", a string");
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strlen(known[i].name) == size && memcmp(known[i].name, text, size) == 0) {
			t->dtype = known[i].dtype;
			return 0;
		}
	}
	buffer_printf(r->why, "\"%s\" is of dtype \"%.*s\", which devserve has no name for; store it as F32, "
		      "F16, BF16, F64, BOOL, or an I or U of 8 to 64 bits", t->name,
		      size <= 32 ? (int)size : 3, size <= 32 ? text : "…");
	return HEADER_REFUSED;
}

static int read_shape(struct reader *r, struct node n, struct header_tensor *t)
{
	struct node_cursor c = node_elements(n);
	struct node element;

	if (node_type(n) != NODE_ARRAY)
		return refuse(r, t, "has no \"shape\", an array");
	while (node_next(&c, &element)) {
		uint64_t extent;

		if (!node_uint(element, &extent) || extent > INT64_MAX)
			return refuse(r, t, "has an extent in its shape that is no count");
		if (t->rank == DEVSERVE_MAX_RANK)
			return refuse(r, t, "has more than eight extents");
		t->shape[t->rank++] = (int64_t)extent;
	}
	return 0;
}

static int read_place(struct reader *r, struct node n, struct header_tensor *t)
{
	struct node_cursor c = node_elements(n);
	struct node at[3] = { { 0 } };
	uint64_t begin, end;
	size_t count = 0;

	while (count < ARRAY_SIZE(at) && node_next(&c, &at[count]))
		count++;
	if (count != 2 || !node_uint(at[0], &begin) || !node_uint(at[1], &end) || end < begin)
		return refuse(r, t, "has no \"data_offsets\", a pair of where it begins and ends");
	if (end > r->data_size) {
		buffer_printf(r->why, "is cut off: \"%s\" ends at byte %" PRIu64 " of the data, of which there are %"
			      PRIu64, t->name, end, r->data_size);
		return HEADER_REFUSED;
	}
	t->offset = r->data_at + begin;
	t->size = end - begin;
	return 0;
}

static int check_size(struct reader *r, const struct header_tensor *t)
{
	uint64_t element = dtype_size(t->dtype), size = element;
	bool empty = false, huge = false;

	for (uint32_t i = 0; i < t->rank; i++)
		empty |= t->shape[i] == 0;
	for (uint32_t i = 0; i < t->rank && !empty; i++)
		huge |= __builtin_mul_overflow(size, (uint64_t)t->shape[i], &size);
	size = empty ? 0 : size;
	if (huge || size != t->size) {
		buffer_printf(r->why, "\"%s\" has %" PRIu64 " bytes of data, and its shape and dtype want ", t->name,
			      t->size);
		if (huge)
			buffer_puts(r->why, "more than there are");
		else
			buffer_printf(r->why, "%" PRIu64, size);
		return HEADER_REFUSED;
	}
	if (size && t->offset % element) {
		buffer_printf(r->why, "\"%s\" lies at byte %" PRIu64 ", no multiple of its element's %" PRIu64
			      " bytes; fill the header up with spaces to a multiple of eight", t->name, t->offset,
			      element);
		return HEADER_REFUSED;
	}
	return 0;
}

/* The members of @n, each at most once; others mean nothing to us. */
static int pick(struct reader *r, struct node n, const struct header_tensor *t, struct node ret[3])
{
	static const struct node_key keys[] = { NODE_KEY("dtype"), NODE_KEY("shape"), NODE_KEY("data_offsets") };
	struct node_cursor c = node_members(n);
	struct node value;
	const char *key;
	size_t size;

	if (node_type(n) != NODE_OBJECT)
		return refuse(r, t, "is no object with dtype, shape and data_offsets");
	while (node_next_member(&c, &key, &size, &value)) {
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
			if (!node_is_key(&keys[i], key, size))
				continue;
			if (!node_is_absent(ret[i]))
				return refuse(r, t, "says the same thing twice");
			ret[i] = value;
		}
	}
	return 0;
}

static int read_tensor(struct reader *r, struct node n, struct header_tensor *t)
{
	struct node members[3] = { { 0 } };

	if (pick(r, n, t, members) || read_dtype(r, members[0], t) || read_shape(r, members[1], t) ||
	    read_place(r, members[2], t))
		return HEADER_REFUSED;
	return check_size(r, t);
}

static struct header_tensor *add(struct reader *r, const char *name, size_t size)
{
	struct header *h = &r->header;

	if (h->n == r->room) {
		r->room = r->room ? 2 * r->room : 16;
		h->tensors = xrealloc(h->tensors, r->room * sizeof(*h->tensors));
	}
	h->tensors[h->n] = (struct header_tensor){ .name = xstrndup(name, size) };
	return &h->tensors[h->n++];
}

static int read_member(struct reader *r, const char *name, size_t size, struct node value)
{
	static const char metadata[] = "__metadata__";

	if (size == sizeof(metadata) - 1 && memcmp(name, metadata, size) == 0)
		return 0;
	if (size > HEADER_MAX_NAME || memchr(name, '\0', size)) {
		buffer_puts(r->why, "has a tensor whose name is too long, or holds a NUL");
		return HEADER_REFUSED;
	}
	return read_tensor(r, value, add(r, name, size));
}

/* All together */

static int compare_places(const void *a, const void *b)
{
	const struct header_tensor *x = a, *y = b;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return x->size < y->size ? -1 : x->size > y->size;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp((*(struct header_tensor *const *)a)->name, (*(struct header_tensor *const *)b)->name);
}

static void put_stray(struct reader *r, uint64_t bytes)
{
	buffer_printf(r->why, "has %" PRIu64 " byte%s ", bytes, bytes == 1 ? "" : "s");
}

static int check_places(struct reader *r)
{
	const struct header *h = &r->header;
	uint64_t end = r->data_at;

	for (size_t i = 0; i < h->n; i++) {
		const struct header_tensor *t = &h->tensors[i];

		if (t->offset < end) {
			buffer_printf(r->why, "\"%s\" and \"%s\" share bytes", h->tensors[i - 1].name, t->name);
			return HEADER_REFUSED;
		}
		if (t->offset > end) {
			put_stray(r, t->offset - end);
			buffer_printf(r->why, "before \"%s\" that belong to no tensor", t->name);
			return HEADER_REFUSED;
		}
		end += t->size;
	}
	if (end == r->data_at + r->data_size)
		return 0;
	put_stray(r, r->data_at + r->data_size - end);
	buffer_puts(r->why, "at its end that belong to no tensor");
	return HEADER_REFUSED;
}

static int check_names(struct reader *r)
{
	const struct header *h = &r->header;
	struct header_tensor **sorted = xcalloc(h->n + 1, sizeof(struct header_tensor *));
	int result = 0;

	for (size_t i = 0; i < h->n; i++)
		sorted[i] = &h->tensors[i];
	qsort(sorted, h->n, sizeof(*sorted), compare_names);
	for (size_t i = 1; i < h->n && !result; i++)
		if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
			result = refuse(r, sorted[i], "is there twice");
	free(sorted);
	return result;
}

static int read_all(struct reader *r, struct node root)
{
	struct node_cursor c = node_members(root);
	struct node value;
	const char *name;
	size_t size;

	if (node_type(root) != NODE_OBJECT) {
		buffer_puts(r->why, "has a header that is no JSON object");
		return HEADER_REFUSED;
	}
	while (node_next_member(&c, &name, &size, &value))
		if (read_member(r, name, size, value))
			return HEADER_REFUSED;
	if (r->header.n)
		qsort(r->header.tensors, r->header.n, sizeof(*r->header.tensors), compare_places);
	return check_names(r) || check_places(r) ? HEADER_REFUSED : 0;
}

int header_parse(const char *json, size_t size, uint64_t file_size, struct header *ret, struct buffer *why)
{
	struct reader r = { .data_at = 8 + size, .data_size = file_size - 8 - size, .why = why };
	struct node root;
	const char *said;
	int result;

	if (json_parse(json, size, &root, &said)) {
		buffer_printf(why, "has a header that cannot be read as JSON: %s", said);
		return HEADER_REFUSED;
	}
	result = read_all(&r, root);
	json_close();
	if (result)
		header_fini(&r.header);
	else
		*ret = r.header;
	return result;
}
