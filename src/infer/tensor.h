/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <devserve/deployment.h>

/*
 * A tensor of a request or a response. @data is borrowed from the request's memory
 * (see infer/memory.h), 64-byte aligned, @size bytes.
 */
struct tensor {
	uint32_t port; /* index into the signature's inputs or outputs */
	uint32_t dtype;
	uint32_t rank;
	int64_t shape[DEVSERVE_MAX_RANK]; /* the batch's extent first where there is one */
	void *data;
	uint64_t size;
};

/* Product of the extents, or -1 where one is negative or the product passes INT64_MAX. */
int64_t tensor_elements(const int64_t *shape, uint32_t rank);
