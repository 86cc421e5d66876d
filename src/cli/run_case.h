/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Running a case
 *
 * A case (array/case.h) on an image, in a devserve-worker of its own (worker/replay.h), and how its
 * answer compares with the one that was kept.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <devserve/deployment.h>

#include "compare/compare.h"

struct buffer;
struct json_reader;

enum case_outcome {
	CASE_SAME,    /* to the last bit */
	CASE_CLOSE,   /* within the tolerances */
	CASE_DIFFERS,
	CASE_FAILED,  /* infer() returned an error, or the image couldn't be loaded */
	CASE_CRASHED,
};

struct case_output {
	char *name, *type; /* "FP32[8,4]" */
	char *sentence;    /* "3 of 32 elements are off; the worst at [0,3]: expected 1, got 2" */
	enum case_outcome outcome; /* SAME, CLOSE or DIFFERS */
	struct comparison comparison; /* n is 0 where it isn't of the same shape */
};

struct case_run {
	enum case_outcome outcome;
	char *sentence;        /* why it failed or crashed; or NULL */
	uint64_t compute_ns;
	size_t n_outputs;
	struct case_output outputs[DEVSERVE_MAX_TENSORS];
};

/* The image's files, as @facts (its case.json) and @directory have them, as words of the worker; free each. */
size_t case_words(const char *directory, const struct json_reader *facts, char **ret, size_t most);

/*
 * Tolerances are those of the golden case that it was, or else the usual ones.
 *
 * 0; or EXIT_FAILURE with a sentence, where it could not even be tried. @said gets what the plugin prints.
 */
int case_run(const char *directory, const struct json_reader *facts, struct case_run *ret, struct buffer *said,
	     struct buffer *why);
/* As a golden case is run, on a zeroed state; the answer is left below the directory @got, as a case's. */
int case_run_zeroed(const char *directory, const struct json_reader *facts, const char *got, struct case_run *ret,
		    struct buffer *said, struct buffer *why);
void case_run_fini(struct case_run *r);

/* "same", "close", "differs", "failed", "crashed" */
const char *case_outcome_name(enum case_outcome outcome);
