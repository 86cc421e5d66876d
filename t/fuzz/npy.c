/* SPDX-License-Identifier: MIT */

/* Any bytes are a .npy file; what is accepted is whole, and written it is read as the same. */

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buffer.h"
#include "array/array.h"
#include "array/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check_again(const struct array *a)
{
	struct buffer file = BUFFER_NULL, why = BUFFER_NULL;
	struct array b = ARRAY_NULL;

	if (npy_format(a, &file, &why) == 0) {
		assert(npy_parse(file.data, file.size, &b, &why) == 0);
		assert(b.dtype == a->dtype && b.rank == a->rank && b.size == a->size);
		assert(memcmp(b.shape, a->shape, a->rank * sizeof(*a->shape)) == 0);
		assert(memcmp(b.data, a->data, a->size) == 0);
	}
	assert(!why.size || a->dtype == DEVSERVE_BYTES);
	array_fini(&b);
	buffer_fini(&file);
	buffer_fini(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct buffer why = BUFFER_NULL;
	struct array a = ARRAY_NULL;
	int r = npy_parse(bytes, size, &a, &why);

	assert((r == -EINVAL) == (why.size > 0));
	if (r == 0) {
		assert(array_is_whole(&a));
		check_again(&a);
	}
	array_fini(&a);
	buffer_fini(&why);
	return 0;
}
