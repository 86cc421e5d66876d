/* SPDX-License-Identifier: MIT */
#include "infer/tensor.h"

#include <stdbool.h>

int64_t tensor_elements(const int64_t *shape, uint32_t rank)
{
	int64_t n = 1;
	bool empty = false, overflow = false;

	for (uint32_t i = 0; i < rank; i++) {
		if (shape[i] < 0)
			return -1;
		if (shape[i] == 0)
			empty = true;
		else
			overflow |= __builtin_mul_overflow(n, shape[i], &n);
	}
	return empty ? 0 : overflow ? -1 : n;
}
