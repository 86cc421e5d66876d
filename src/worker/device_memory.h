/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Device memory
 *
 * What create() allocates on the GPU. It belongs to the host code, which may see several
 * generations of kernels, and goes with the last of them.
 */

#include <stdint.h>

#include "cuda/device.h"

struct device_memory;

/* One user more of @m; of new, empty memory if that is NULL. */
struct device_memory *device_memory_ref(struct device_memory *m);
/* With the last user all of it is released. */
void device_memory_unref(const struct device *d, struct device_memory *m);

/* 0, or what the driver said. */
cuda_result device_memory_take(const struct device *d, struct device_memory *m, uint64_t size, cuda_address *ret);
/* Once @stream has ended, which may use it. What isn't of @m is left alone. */
void device_memory_give(const struct device *d, struct device_memory *m, cuda_address at, cuda_stream stream);
