/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Golden
 *
 * A golden case of files as if it had been recorded: CASE/in/TENSOR.npy are the inputs of an image,
 * CASE/out/TENSOR.npy those of its outputs that are to be compared.
 */

#include <stddef.h>
#include <stdint.h>

#include "ring/recording.h"

struct image;
struct rehearsal;

/* In memory of its own, which can only be read. */
struct golden {
	const char *base;
	size_t size;
	const struct recording *recording; /* lies there */
	uint32_t expected; /* bit i: output i has a file */
};

/*
 * 0; or 1 with a sentence: files are missing, can't be read, or are of another datatype than the
 * image declares. Their shapes are for rehearsal_run() to check.
 */
int golden_load(const char *directory, const struct image *image, struct golden *ret, char *sentence, size_t size);
void golden_fini(struct golden *g);

/*
 * What the rehearsal's last call answered is to be expected of those outputs that had a file: it is written
 * to @directory by the same names. 0, or -errno with a sentence.
 */
int golden_accept(const char *directory, const struct image *image, const struct golden *g,
		  const struct rehearsal *r, char *sentence, size_t size);
