/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <devserve/deployment.h>

struct buffer;

struct npy_header {
	char kind;       /* of the descr: b, i, u, f, S, U */
	bool swapped;    /* big endian */
	uint64_t item;   /* bytes of an element in the file, > 0 */
	bool fortran;    /* the first extent is the innermost */
	uint32_t rank;
	int64_t shape[DEVSERVE_MAX_RANK]; /* its product times `item` fits */
	uint64_t elements;
	size_t data_at;  /* where the elements start in the file */
};

/* The header of the @size bytes of a file. 0, or -EINVAL with a sentence. */
int npy_header_parse(const char *bytes, size_t size, struct npy_header *ret, struct buffer *why);
