/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Signature
 *
 * What a deployment takes and gives: the static part of its devserve_entry, copied
 * out of the image's file and checked. Counted: requests hold the one they were
 * checked against while a newer generation may already have another.
 */

#include <stdbool.h>
#include <stdint.h>

#include <devserve/deployment.h>

struct buffer;

struct signature_port {
	char *name;
	uint32_t dtype;
	uint32_t rank;                    /* without the batch */
	int64_t shape[DEVSERVE_MAX_RANK]; /* -1: free */
};

struct signature {
	unsigned n_refs;
	char *description; /* or NULL */
	uint32_t n_inputs, n_outputs;
	struct signature_port inputs[DEVSERVE_MAX_TENSORS];
	struct signature_port outputs[DEVSERVE_MAX_TENSORS];
	uint32_t max_batch_size; /* 0: no batch dimension */
	uint32_t max_queue_delay_us;
	uint32_t output_shape; /* enum devserve_shape */
	struct {
		uint64_t size; /* bytes; 0: it keeps none */
		uint32_t version;
		bool migrates; /* has a migrate() or a migrate_from() */
	} state;
	bool cuda; /* it needs a GPU */
	bool creates; /* has a create() */
};

/* All zero, one reference. */
struct signature *signature_new(void);
struct signature *signature_ref(struct signature *s);
struct signature *signature_unref(struct signature *s); /* NULL is fine. Returns NULL. */

/* Same ports in the same order, same batching: old clients notice nothing. */
bool signature_equal(const struct signature *a, const struct signature *b);

/* What of that differs, for people: "input X is FP32[4], was FP32[-1]; …". Nothing where they are equal. */
void signature_changes(const struct signature *from, const struct signature *to, struct buffer *ret);

/* GET /v2/models/NAME: JSON appended to @ret. */
void signature_metadata(const struct signature *s, const char *name, struct buffer *ret);
