/* SPDX-License-Identifier: MIT */
#pragma once

/* A recording, as the server gives it (serve/recordings.h). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <devserve/deployment.h>

#include "array/array.h"

struct buffer;
struct client;
struct json_reader;

struct recorded_call {
	size_t n_in, n_out;
	struct array in[DEVSERVE_MAX_TENSORS], out[DEVSERVE_MAX_TENSORS];
	char *weights; /* a hash as text: those that answered it; NULL: none, or it isn't known */
};

#define RECORDED_CALL_NULL { .n_in = 0 }

/* Ask for it. 0, or the status to exit with and a sentence. */
int recorded_ask(const struct client *c, uint64_t id, uint64_t timeout_ms, struct recorded_call *ret,
		 struct buffer *why);

/*
 * Have it kept as a case, with the image that serves: its directory, the caller's, which is readable from here.
 * 0, or the status to exit with and a sentence.
 */
int recorded_keep(const struct client *c, uint64_t id, char **ret, struct buffer *why);
/* What the case.json of a kept one says; json_reader_free(). */
int recorded_read_facts(const char *directory, struct json_reader **ret, struct buffer *why);

/*
 * Of a deployment with state: what it answers from a zeroed one, as a golden case is asked, takes the place
 * of the outputs of @call; *ret_other: it is another answer. Nothing of it stays kept. As recorded_keep().
 */
int recorded_answer_zeroed(const struct client *c, uint64_t id, struct recorded_call *call, bool *ret_other,
			   struct buffer *why);
void recorded_call_fini(struct recorded_call *c);
