/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * CUDA
 *
 * The toolkit of this machine and its two compilers: nvcc for sources with host code, NVRTC, a
 * library in a process of ours (warm.h), for those without. Both compile for one architecture:
 * that of the GPU which is there, unless an author says another (flags.h).
 */

#include <stdbool.h>

#include "build/compiler.h"

struct cuda {
	struct compiler nvcc, nvrtc; /* command.n is 0 where there is none */
	char *root;      /* of the toolkit, NULL: none */
	char *libraries; /* the directory of its libraries */
	char *library;   /* libnvrtc */
	char *helper;    /* devserve-cuda */
	char *complaint; /* "CUDA_HOME=/x has no bin/nvcc; using /usr/local/cuda", NULL: none */
	bool has_gpu;
	char architecture[16]; /* "sm_90a" */
};

/*
 * Look in $NVCC, $CUDA_HOME, beside our program (`make CUDA=pip`), PATH and /usr/local/cuda. Its
 * libraries may lie in a directory of the system's instead, as Debian's do.
 * Runs nothing.
 */
void cuda_find(struct cuda *c);
void cuda_fini(struct cuda *c);

/* Take the architecture out of what devserve-cuda says of the GPU; the usual one if it says none. */
void cuda_put_architecture(struct cuda *c, const char *answer);

/* Set flags and identities. @answer: what devserve-cuda says of the GPU, or "". */
void cuda_learn(struct cuda *c, const char *answer, const struct compiler *cxx, const char *root,
		const char *include_dir, struct hash machine);

/* Add which GPUs and which driver there are. Whether anything could be learned of them. */
bool cuda_add_gpus(struct hash_state *s);

/* Whether a library of the toolkit is among an author's. */
bool cuda_has_library(char *const *ldlibs);
