/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Header
 *
 * What a safetensors file says of its tensors: eight bytes with the length of a JSON object,
 * the object, then the data, which the tensors share out among them without gap or overlap.
 * The file may come from anywhere; nothing that it says is believed without its size.
 */

#include <devserve/deployment.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;

#define HEADER_MAX (UINT64_C(16) << 20) /* bytes of JSON */
#define HEADER_MAX_NAME 512             /* bytes of a tensor's name */

enum { HEADER_REFUSED = 1 };

struct header_tensor {
	char *name;
	uint32_t dtype, rank; /* enum devserve_dtype */
	int64_t shape[DEVSERVE_MAX_RANK];
	uint64_t offset, size; /* bytes, of the file */
};

struct header {
	struct header_tensor *tensors; /* in order of their place */
	size_t n;
};

#define HEADER_NULL { .tensors = NULL }

void header_fini(struct header *h);

/*
 * Bytes of the JSON of a file of @file_size bytes that begins with @first. 0, or HEADER_REFUSED
 * with the rest of a sentence that begins with the file's name. So the next one.
 */
int header_size(const unsigned char first[8], uint64_t file_size, uint64_t *ret, struct buffer *why);

/* @json: @size bytes, with JSON_PADDING readable ones behind (infer/json_parse.h). */
int header_parse(const char *json, size_t size, uint64_t file_size, struct header *ret, struct buffer *why);
