/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where tensors live, and who counts what requests take. The request's decoder asks for memory
 * through this table and knows nothing of segments; deploy/ implements it on the deployment's
 * arena, unit tests on malloc().
 */

#include <stddef.h>
#include <stdint.h>

struct infer_memory {
	/*
	 * @size bytes, 64-byte aligned, content undefined. *@ret_block is what
	 * release wants. 0; -ENOMEM: the budget is used up, answer 503; -EFBIG: it is smaller
	 * than that, answer 413.
	 */
	int (*reserve)(struct infer_memory *m, size_t size, void **ret, uint64_t *ret_block);
	void (*release)(struct infer_memory *m, uint64_t block);

	/* Count @size bytes of JSON, which lie elsewhere, in the same budget. The same errors. */
	int (*charge)(struct infer_memory *m, size_t size);
	void (*discharge)(struct infer_memory *m, size_t size);
};
