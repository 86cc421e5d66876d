/* SPDX-License-Identifier: MIT */

/*
 * Fuzz the decoder of requests, and encode what it accepts.
 *
 *	byte 0      which signature (low three bits), chunked (8), no header size (16),
 *	            all in one piece (32)
 *	byte 1, 2   the header size, little-endian
 *	the rest    the body
 *
 *	clang -fsanitize=fuzzer,address,undefined … t/fuzz/infer.c src/infer src/base
 *	./a.out -dict=… t/fuzz/corpus/infer
 */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "infer/dtype.h"
#include "infer/json_parse.h"
#include "infer/request.h"
#include "infer/signature.h"
#include "counted.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct infer_memory memory = COUNTED_MEMORY;

static void add_port(struct signature *s, const char *name, uint32_t dtype, int64_t first, int64_t second)
{
	struct signature_port *in = &s->inputs[s->n_inputs++], *out = &s->outputs[s->n_outputs++];

	in->dtype = dtype;
	in->rank = second ? 2 : first ? 1 : 0;
	in->shape[0] = first;
	in->shape[1] = second;
	*out = *in;
	in->name = xstrdup(name);
	out->name = xstrdup(name);
}

static struct signature *signature_number(unsigned i)
{
	static struct signature *all[8];
	struct signature *s = all[i];

	if (s)
		return s;
	s = all[i] = signature_new();
	s->max_batch_size = i & 1 ? 4 : 0;
	switch (i / 2) {
	case 0:
		add_port(s, "INPUT0", DEVSERVE_INT32, 4, 0);
		add_port(s, "INPUT1", DEVSERVE_INT32, 4, 0);
		break;
	case 1:
		add_port(s, "X", i & 1 ? DEVSERVE_BYTES : DEVSERVE_FP32, i & 1 ? 1 : -1, 0);
		break;
	case 2:
		add_port(s, "X", DEVSERVE_BYTES, i & 1 ? 1 : -1, 0);
		add_port(s, "Y", DEVSERVE_FP64, -1, -1);
		add_port(s, "B", DEVSERVE_BOOL, -1, 0);
		break;
	default:
		for (uint32_t dtype = DEVSERVE_BOOL; dtype <= DEVSERVE_BF16; dtype++)
			add_port(s, dtype_name(dtype), dtype, 0, 0);
	}
	return s;
}

/* What a request promises once it was accepted. */
static void check(const struct infer_request *r)
{
	const struct signature *s = r->signature;

	assert(r->n_inputs == s->n_inputs);
	assert(r->batch >= 1 && (!s->max_batch_size || r->batch <= s->max_batch_size));
	assert(r->n_wanted <= s->n_outputs);
	for (uint32_t i = 0; i < r->n_inputs; i++) {
		const struct tensor *t = &r->inputs[i];
		int64_t n = tensor_elements(t->shape, t->rank);

		assert(n >= 0 && t->port == i && t->dtype == s->inputs[i].dtype);
		assert(t->dtype == DEVSERVE_BYTES || t->size == (uint64_t)n * dtype_size(t->dtype));
		assert((uintptr_t)t->data % 64 == 0);
	}
}

static void answer(struct infer_request *r)
{
	_cleanup_buffer_ struct buffer json = BUFFER_NULL;
	struct iovec iov[DEVSERVE_MAX_TENSORS];
	const char *why;
	struct node root;
	bool binary;
	int n, e;

	r->n_outputs = r->n_inputs;
	memcpy(r->outputs, r->inputs, sizeof(r->outputs));
	e = infer_response_encode(r, "fuzz", &json, iov, &n, &binary);
	assert(e == 0 || e == INFER_INVALID);
	assert(e == (int)r->status);
	buffer_reserve(&json, JSON_PADDING);
	e = json_parse(json.data, json.size, &root, &why);
	assert(e == 0 && node_type(root) == NODE_OBJECT);
	for (int i = 0; i < n; i++)
		assert(iov[i].iov_len && iov[i].iov_base);
}

static int receive(struct infer_request *r, const uint8_t *body, size_t size, size_t step)
{
	int e = 0;

	for (size_t at = 0; at < size && !e;) {
		void *base;
		size_t room;

		infer_request_room(r, &base, &room);
		assert(room > 0);
		room = room < size - at ? room : size - at;
		room = room < step ? room : step;
		memcpy(base, body + at, room);
		at += room;
		e = infer_request_filled(r, room);
	}
	return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct infer_request r;
	uint64_t json_size;
	int e;

	if (size < 3)
		return 0;
	memset(&r, 0xa5, sizeof(r));
	infer_request_init(&r, "fuzz", signature_number(data[0] & 7), &memory);
	json_size = data[0] & 16 ? INFER_BODY_UNKNOWN : (uint64_t)(data[1] | data[2] << 8);
	e = infer_request_body(&r, data[0] & 8 ? INFER_BODY_UNKNOWN : size - 3, json_size);
	if (!e)
		e = receive(&r, data + 3, size - 3, data[0] & 32 ? SIZE_MAX : 7);
	if (!e)
		e = infer_request_end(&r);
	assert(e == (int)r.status && (e != 0) == (r.error.size != 0));
	assert(e != INFER_INTERNAL);
	if (!e) {
		check(&r);
		answer(&r);
	}
	infer_request_fini(&r);
	assert(n_blocks == 0 && n_charged == 0);
	return 0;
}
