/* SPDX-License-Identifier: MIT */

/* Any bytes are a weights file; of what is accepted every byte of the data is one tensor's. */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "infer/dtype.h"
#include "infer/json_parse.h"
#include "weights/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(const struct header *h, uint64_t data_at, uint64_t file_size)
{
	for (size_t i = 0; i < h->n; i++) {
		const struct header_tensor *t = &h->tensors[i];
		uint64_t elements = 1;

		for (uint32_t k = 0; k < t->rank; k++)
			elements *= (uint64_t)t->shape[k];
		assert(t->offset == data_at && t->size == elements * dtype_size(t->dtype));
		assert(!t->size || t->offset % dtype_size(t->dtype) == 0);
		data_at += t->size;
	}
	assert(data_at == file_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct buffer why = BUFFER_NULL, json = BUFFER_NULL;
	unsigned char first[8] = { 0 };
	struct header h = HEADER_NULL;
	uint64_t json_size;
	int r;

	memcpy(first, bytes, size < 8 ? size : 8);
	r = header_size(first, size, &json_size, &why);
	if (r == 0) {
		buffer_reserve(&json, json_size + JSON_PADDING);
		memset(json.data, 0, json_size + JSON_PADDING);
		memcpy(json.data, bytes + 8, json_size);
		r = header_parse(json.data, json_size, size, &h, &why);
	}
	assert(r >= 0 && (r > 0) == (why.size > 0));
	if (r == 0)
		check(&h, 8 + json_size, size);
	header_fini(&h);
	buffer_fini(&json);
	buffer_fini(&why);
	return 0;
}
