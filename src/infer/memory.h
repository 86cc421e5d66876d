/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where tensors live. The request's decoder asks for memory through this table and
 * knows nothing of segments; deploy/ implements it on the deployment's arena, unit
 * tests on malloc().
 */

#include <stddef.h>
#include <stdint.h>

struct infer_memory {
	/*
	 * @size bytes, 64-byte aligned, content undefined. *@ret_block is what
	 * release wants. 0; -ENOMEM: the budget is used up, answer 503.
	 */
	int (*reserve)(struct infer_memory *m, size_t size, void **ret, uint64_t *ret_block);
	void (*release)(struct infer_memory *m, uint64_t block);
};
