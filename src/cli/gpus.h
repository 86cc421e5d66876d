/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * GPUs
 *
 * How the GPUs of this machine are, as devserve-cuda has it of NVML (nvrtc/gpus.h): nothing of
 * NVIDIA's is loaded into this process.
 */

#include <stddef.h>
#include <stdint.h>

struct buffer;
struct json_reader;

/* What it says; json_reader_free(). NULL: nothing, and why. */
struct json_reader *gpus_ask(struct buffer *why);

/* "NVIDIA H200, 3.0 of 139.8 GiB used, busy 87 %, SM 1410 of 1980 MHz (power cap), 65 °C, 540 of 700 W" */
void gpus_describe(const struct json_reader *gpus, size_t i, struct buffer *ret);

/* Bytes of all GPUs' memory that the workers of deployment @i of @status have; 0: none, or not told. @gpus may be NULL. */
uint64_t gpus_memory(const struct json_reader *gpus, const struct json_reader *status, size_t i);

/*
 * Add "gpus" to @json, which is what @status was read from, and to each of them "deployments", whose
 * memory it has. NULL: it stays as it is.
 */
void gpus_add(const struct json_reader *gpus, const struct json_reader *status, struct buffer *json);
