/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * NVML
 *
 * How NVIDIA's GPUs are: memory, clocks, heat, power, and what slows them down. Its library comes
 * with the driver and is found at run time, as the driver is; no context is made, and no header of
 * theirs needed. Where it isn't, nothing is known.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct nvml_gpu { /* what the GPU can't tell is -1, 0 of memory */
	char name[96];
	char bus[32]; /* "00000000:1B:00.0" */
	uint64_t memory_used, memory_total; /* bytes */
	int busy, memory_busy;    /* percent of the last moments: kernels ran; memory was read or written */
	int sm_mhz, sm_max_mhz;   /* clock of the multiprocessors now, and at best */
	int memory_mhz, memory_max_mhz;
	int celsius;
	int milliwatts, limit_milliwatts;
	uint64_t slowdowns; /* nvml_slowdown() names the bits */
};

struct nvml_process {
	pid_t pid;       /* as the host counts: in a container another than ours */
	uint64_t memory; /* bytes; 0: not told */
};

#define NVML_SLOWDOWNS 64

/* Load the library and start it. 0, or -1 with a sentence; once it has failed it fails. [any] */
int nvml_open(char *why, size_t size);

/* What follows is for when it is open. [any] */

const char *nvml_driver(void); /* "580.95.05"; "" */
unsigned nvml_count(void);
/* False: there is none of that number, counted from 0, or on that bus ("0000:1B:00.0", as the driver has it). */
bool nvml_read(unsigned index, struct nvml_gpu *ret);
bool nvml_read_at(const char *bus, struct nvml_gpu *ret);
/* Processes that compute there: how many were written, at most @room. */
size_t nvml_processes(unsigned index, struct nvml_process *ret, size_t room);

/* What bit @i of `slowdowns` is: "power cap"; NULL: nothing that keeps a kernel from being as fast as it can. */
const char *nvml_slowdown(unsigned i);
