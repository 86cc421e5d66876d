/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Device
 *
 * The GPU of this process: its primary context, which the CUDA runtime of a mixed image uses
 * too, made once and kept across swaps, and one stream for each of our threads.
 */

#include "cuda/driver.h"

enum lane { LANE_INFER, LANE_CONTROL, N_LANES };

struct device {
	const struct driver *driver;
	int ordinal;
	int major, minor; /* 9, 0: sm_90 */
	char name[128];
	char bus[32]; /* for nvml_read_at(); "": not known */
	int max_shared; /* of a block */
	int cache; /* bytes, of the second level */
	cuda_context context;
	cuda_stream streams[N_LANES];
};

/* The first GPU (CUDA_VISIBLE_DEVICES says which that is); no context is made. NULL with a sentence. [any] */
const struct device *device_find(char *why, size_t size);

/* The same with its context, which takes a good part of a second the first time. [any] */
const struct device *device_open(char *why, size_t size);

/* The calling thread works on it from now on; cheap when it does already. [any] */
void device_enter(const struct device *d);
