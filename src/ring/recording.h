/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Recording
 *
 * A request and its answer as the server kept them, in the deployment's memory of recordings (an
 * arena of its own, which workers that prove an image map read-only). Written by the server
 * before a worker hears of it, and neither changed nor released while one does. Offsets are
 * from the start of that memory. The worker believes what stands here, for the server wrote it.
 */

#include <stddef.h>
#include <stdint.h>

#include "ring/call.h"

struct recording {
	uint64_t id;          /* of the server's whole life, from 1 */
	uint64_t recorded_ns; /* wall clock */
	uint64_t compute_ns;  /* infer() itself, of the batch it was part of */
	uint32_t generation;  /* that answered */
	uint32_t batch;       /* first extent of every tensor; 1 where the deployment doesn't batch */
	uint32_t n_in, n_out;
	struct call_tensor tensors[]; /* n_in inputs, then n_out outputs, as the signature orders them */
};

_Static_assert(sizeof(struct recording) == 40, "layout of a recording");
