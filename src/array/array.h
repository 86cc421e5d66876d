/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Array
 *
 * A tensor that a command holds: what goes into a request, what came back, a .npy file. Its
 * bytes are as the protocol's binary form has them: little endian, the last extent the
 * innermost, each element of BYTES led by its length.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <devserve/deployment.h>

struct buffer;

#define ARRAY_MAX_BYTES (UINT64_C(1) << 30) /* of one that is read or made */

struct array {
	char *name;
	uint32_t dtype;
	uint32_t rank;
	int64_t shape[DEVSERVE_MAX_RANK];
	unsigned char *data;
	uint64_t size;
};

#define ARRAY_NULL { .name = NULL }

void array_fini(struct array *a);

/*
 * Sets data and size. Sizes come from files and peers: 0, or -ENOMEM, or -E2BIG for more than
 * ARRAY_MAX_BYTES.
 */
int array_allocate(struct array *a, uint64_t size);

/* How many elements the shape says; it is known to be good. */
uint64_t array_elements(const struct array *a);

/* Whether the bytes are as many as shape and datatype say, those of BYTES one by one. */
bool array_is_whole(const struct array *a);

/* One element of BYTES after the other: @at starts as 0. False at the end. */
bool array_next_bytes(const struct array *a, uint64_t *at, const char **ret, size_t *ret_size);

/* "FP32[2,3]" */
void array_put_type(struct buffer *b, uint32_t dtype, const int64_t *shape, uint32_t rank);

/* FP16 and BF16 have no type in C: @n elements from or to floats. */
void array_widen(uint32_t dtype, const void *from, float *to, size_t n);
void array_narrow(uint32_t dtype, const float *from, void *to, size_t n);
