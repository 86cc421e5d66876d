/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Model
 *
 * What a server says that a deployment takes and gives; shapes include the batch's extent.
 */

#include <stddef.h>
#include <stdint.h>

#include <devserve/deployment.h>

struct buffer;
struct client;

struct model_port {
	char *name;
	uint32_t dtype;
	uint32_t rank;
	int64_t shape[DEVSERVE_MAX_RANK]; /* -1: free */
};

struct model {
	size_t n_inputs, n_outputs;
	struct model_port inputs[DEVSERVE_MAX_TENSORS], outputs[DEVSERVE_MAX_TENSORS];
};

#define MODEL_NULL { .n_inputs = 0 }

/* Ask for it. 0, or the status to exit with and a sentence. */
int model_ask(const struct client *c, const char *name, uint64_t timeout_ms, struct model *ret,
	      struct buffer *why);
void model_fini(struct model *m);

/* NULL with a sentence, which suggests one, where there is none of that name. */
const struct model_port *model_input(const struct model *m, const char *name, struct buffer *why);
const struct model_port *model_output(const struct model *m, const char *name, struct buffer *why);

/* "X=FP32[-1,3] Y=INT64[1]": what would be typed. */
void model_put_inputs(const struct model *m, struct buffer *ret);

/*
 * A shape for @n elements that came as they are: of the extents that are free the last one takes
 * what there is, others are 1. 0, or EXIT_FAILURE with a sentence.
 */
int port_shape_flat(const struct model_port *p, uint64_t n, int64_t *ret, struct buffer *why);

/*
 * A shape for data whose own is @shape: the same, or with a batch of one before it. 0, or
 * EXIT_FAILURE with a sentence. @ret_rank and @ret may be @rank and @shape.
 */
int port_shape_like(const struct model_port *p, const int64_t *shape, uint32_t rank, int64_t *ret,
		    struct buffer *why);
