/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * GPUs
 *
 * What NVML (cuda/nvml.h) tells of all of them, as one JSON object on stdout:
 *
 *	{"driver":"580.95.05","gpus":[{"name":…,"memory_used_bytes":…,…,"processes":[{"pid":…,"memory_bytes":…}]}]}
 *
 * What isn't known isn't there.
 */

/* The exit status: 0, or 1 with a sentence on stderr. */
int gpus_print(void);
