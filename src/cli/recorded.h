/* SPDX-License-Identifier: MIT */
#pragma once

/* A recording, as the server gives it (serve/recordings.h). */

#include <stddef.h>
#include <stdint.h>

#include <devserve/deployment.h>

#include "array/array.h"

struct buffer;
struct client;

struct recorded_call {
	size_t n_in, n_out;
	struct array in[DEVSERVE_MAX_TENSORS], out[DEVSERVE_MAX_TENSORS];
	char *weights; /* a hash as text: those that answered it; NULL: none, or it isn't known */
};

#define RECORDED_CALL_NULL { .n_in = 0 }

/* Ask for it. 0, or the status to exit with and a sentence. */
int recorded_ask(const struct client *c, uint64_t id, uint64_t timeout_ms, struct recorded_call *ret,
		 struct buffer *why);
void recorded_call_fini(struct recorded_call *c);
