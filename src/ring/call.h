/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Call
 *
 * One call (a batch of one or several requests) as it lies in the arena. The server
 * writes all of it before LINK_CALL; afterwards the worker owns it until LINK_DONE and
 * writes `status`, `compute_ns`, `error`, and the shape, size and offset of outputs whose
 * shape the deployment finds. The server keeps its own copy of everything that it needs
 * to trust and checks the rest when it reads it, once.
 */

#include <stdint.h>

#include <devserve/deployment.h>

#define CALL_ERROR_SIZE 256

struct call_tensor {
	uint64_t offset; /* in the arena, 64-byte aligned */
	uint64_t size;   /* bytes; 0 for an output that is still without memory */
	int64_t shape[DEVSERVE_MAX_RANK];
	uint32_t rank;
	uint32_t dtype;
};

struct call {
	uint32_t n_in, n_out;
	uint32_t batch;
	int32_t status;        /* what infer() returned */
	uint64_t spill_offset; /* memory for outputs of unknown size */
	uint64_t spill_size;
	uint64_t compute_ns;
	uint32_t error_size;
	uint32_t unwanted;     /* 1: its clients have gone. The server may say so late: written at any time */
	char error[CALL_ERROR_SIZE];
	struct call_tensor tensors[]; /* n_in inputs, then n_out outputs */
};

_Static_assert(sizeof(struct call_tensor) == 88, "layout of a call");
_Static_assert(sizeof(struct call) == 48 + CALL_ERROR_SIZE, "layout of a call");
