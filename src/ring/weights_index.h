/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Weights index
 *
 * A small file that the server writes for each set of weights, so that workers needn't read
 * JSON: head, files, tensors, text. The files it names are snapshots (complete, never written
 * again), so a set is what its index says for as long as it exists. Numbers are the machine's
 * own; another version is refused. Strings are offsets into the text, which ends with a NUL.
 */

#include <devserve/deployment.h>
#include <stdint.h>

#define WEIGHTS_INDEX_MAGIC 0x58574453u /* "SDWX" */
#define WEIGHTS_INDEX_VERSION 1u

struct weights_index_head {
	uint32_t magic, version;
	uint64_t size; /* of the whole index */
	uint32_t n_files, n_tensors;
	uint64_t text_size;
};

struct weights_index_file {
	uint64_t path; /* of the snapshot, absolute */
	uint64_t name; /* for people: "model.safetensors", below the plugin */
	uint64_t size; /* of the snapshot */
};

/* In order of file and offset. */
struct weights_index_tensor {
	uint64_t name;
	uint64_t offset, size; /* bytes, of the file */
	uint32_t file, dtype, rank, reserved;
	int64_t shape[DEVSERVE_MAX_RANK];
};

_Static_assert(sizeof(struct weights_index_head) == 32, "layout of the weights' index");
_Static_assert(sizeof(struct weights_index_file) == 24, "layout of the weights' index");
_Static_assert(sizeof(struct weights_index_tensor) == 40 + 8 * DEVSERVE_MAX_RANK,
	       "layout of the weights' index");
