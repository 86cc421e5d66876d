/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Decode
 *
 * What a body means, once enough of it is there: request.c receives, this reads. Each
 * returns 0, or a positive enum infer_status with the sentence in r->error.
 */

#include <stdbool.h>
#include <stdint.h>

struct infer_request;

/*
 * r->json is whole: read it, check it against the signature, reserve memory for the inputs
 * and fill those whose data is JSON. r->binary says which bytes are still to come.
 */
int decode_json(struct infer_request *r);

/* The same for a raw request, whose body has @size bytes. */
int decode_raw(struct infer_request *r, uint64_t size);

/* All binary tensors have come: check what sizes don't tell. */
int decode_finish(struct infer_request *r);

/* What the decode_*.c share. */

const char *decode_input_name(const struct infer_request *r, uint32_t input);

/* All outputs, in their order, in one form. */
void decode_want_all(struct infer_request *r, bool binary);

/* One block for all inputs, whose sizes are known, each aligned. */
int decode_reserve(struct infer_request *r);

int decode_size_mismatch(struct infer_request *r, uint32_t input, uint64_t expected, uint64_t got);
int decode_missing_data(struct infer_request *r, uint32_t input, uint64_t missing);
