/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Measurement
 *
 * Which two images a worker that serves nobody is to run by turns, on what, and what came of it. A
 * memfd of its own, made for one LINK_MEASURE and gone with its answer.
 *
 * Who writes: the server all of the order, before LINK_MEASURE; the worker all of the report,
 * before LINK_MEASURED. The worker believes the order. The server copies the report once and
 * believes no more of it than that somebody will read it.
 */

#include <stdint.h>

#include "ring/link.h"
#include "ring/work.h"
#include "verdict/verdict.h"

#define MEASUREMENT_RECORDINGS 16

struct measurement_order {
	struct link_load old, new; /* the same state for both */
	char recordings[64];       /* path of their memory */
	uint64_t offsets[MEASUREMENT_RECORDINGS]; /* in it; those that both run count, the first few */
	uint32_t n_recordings;
	uint32_t is_cuda;          /* both are for the GPU */
	uint64_t budget_ns;        /* from the order to the report */
	uint64_t seed;             /* of all that is left to chance */
};

struct measurement_clocks { /* of the GPU while it was measured; zeros: not known */
	uint32_t low_mhz, high_mhz; /* of its multiprocessors, as seen now and then */
	uint64_t slowdowns;         /* what was seen to slow it down, by bits (cuda/nvml.h): the worker's own notes */
	char slowed_by[128];        /* "power cap, heat"; "": nothing was seen */
};

struct measurement_report {
	struct verdict verdict;
	uint32_t courses[ROUND_MAX_COURSES]; /* which recording each of the verdict's inputs is */
	struct work works[ROUND_MAX_COURSES]; /* what a call of each has to do, by the new image's word */
	uint32_t by_gpu;                     /* times are the GPU's, by its own clock */
	struct measurement_clocks clocks;
	char sentence[512];                  /* why nothing was measured; "": something was */
};

struct measurement {
	struct measurement_order order;
	struct measurement_report report;
};
