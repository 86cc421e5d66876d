/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Case
 *
 * A call and its answer as files that people can read:
 *
 *	DIR/in/INPUT.npy, DIR/out/OUTPUT.npy, and what else is to be said in DIR/case.json
 *
 * A tensor's name becomes its file's, with %2F and the like for what can't stand there.
 */

#include <stddef.h>
#include <stdint.h>

struct array;
struct buffer;

#define CASE_IN "in"
#define CASE_OUT "out"

/* "DIR/in/X.npy"; free(). */
char *case_path(const char *directory, const char *side, const char *tensor);

/* Add inputs, outputs, and @json where that isn't NULL, to @directory. 0 or -errno, with a sentence. */
int case_fill(const char *directory, const struct array *in, size_t n_in, const struct array *out, size_t n_out,
	      const char *json, struct buffer *why);

/*
 * Make @directory, with what it lies in, in the same way: all of it, or nothing. 0, -EEXIST where
 * something is there already, another -errno; with a sentence.
 */
int case_write(const char *directory, const struct array *in, size_t n_in, const struct array *out, size_t n_out,
	       const char *json, struct buffer *why);

/*
 * The tensor a->name of that side, which is to be of @dtype: BF16 stands in the file as float32. The
 * rest of @a is empty. 0, or -errno with a sentence that names the file; -ENOENT: it has none.
 */
int case_read(const char *directory, const char *side, uint32_t dtype, struct array *a, struct buffer *why);
