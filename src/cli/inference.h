/* SPDX-License-Identifier: MIT */
#pragma once

/* An inference, as binary data both ways. */

#include <stddef.h>
#include <stdint.h>

#include "array/array.h"
#include "cli/client.h"

struct model;

struct inference {
	struct array inputs[DEVSERVE_MAX_TENSORS]; /* the model's, in its order */
	struct array outputs[DEVSERVE_MAX_TENSORS];
	size_t n_outputs;
	struct client_answer answer;
	uint64_t took_ns; /* from connecting to the last byte */
};

#define INFERENCE_NULL { .n_outputs = 0 }

/*
 * Send the inputs to @name, ask for all outputs or for @only, and read them. 0, or the status
 * to exit with and a sentence.
 */
int inference_run(struct inference *inf, const struct client *c, const char *name, const struct model *m,
		  const char *only, uint64_t timeout_ms, struct buffer *why);
void inference_fini(struct inference *inf);
