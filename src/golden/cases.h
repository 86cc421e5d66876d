/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Golden cases
 *
 * Requests that lie beside a deployment's source with the answers they must get, as files that
 * people and numpy can read:
 *
 *	NAME/golden/CASE/in/TENSOR.npy, out/TENSOR.npy
 *	NAME/golden/CASE/case.json      {"tolerance": {"TENSOR": {"rtol": 1e-4, "atol": 1e-6}}, "weights": "HASH"}
 *
 * An output without a file isn't compared; one without a tolerance has its datatype's
 * (compare/compare.h). Weights are said of a case that was recorded, so that others can be told to be why it
 * isn't answered so any more. Here: which there are, and their tolerances. The worker reads the tensors.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/hash.h"
#include "compare/compare.h"

struct buffer;

#define GOLDEN_DIRECTORY "golden"
#define GOLDEN_OUT "out" /* in a case */
#define GOLDEN_MAX_CASES 192

struct golden_tolerance {
	char *tensor;
	struct tolerance tolerance;
};

struct golden_case {
	char *name;
	char *weights; /* a hash as text: those that it was recorded with; NULL: it doesn't say */
	struct golden_tolerance *tolerances;
	size_t n_tolerances;
};

struct golden_cases {
	unsigned n_refs;
	char *path; /* of the directory */
	char weights[HASH_TEXT_SIZE]; /* of the image that they are for; zeros: it has none */
	struct golden_case *cases; /* in order of names */
	size_t n;
};

/*
 * Those of the plugin at @path, which has @weights, with one reference; no directory has none. 0; 1 with a sentence: there are
 * more than GOLDEN_MAX_CASES, or a case.json is wrong. *@ret is NULL then.
 */
int golden_cases_read(const char *path, struct hash weights, struct golden_cases **ret, struct buffer *why);

/* NULL is fine. */
struct golden_cases *golden_cases_ref(struct golden_cases *g);
struct golden_cases *golden_cases_unref(struct golden_cases *g); /* Returns NULL. */

/* @c, one of them, was recorded with others. */
bool golden_case_has_other_weights(const struct golden_cases *g, const struct golden_case *c);

/* Of output @tensor, or NULL: its datatype's. */
const struct tolerance *golden_case_tolerance(const struct golden_case *c, const char *tensor);
