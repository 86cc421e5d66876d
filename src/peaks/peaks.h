/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Peaks
 *
 * What this machine can do at best, as it was measured here once: floating-point operations and
 * bytes a second, of one thread and of all. Kept in the user's cache, in a file for each kind of
 * machine, for a home may be shared.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;

struct peak { /* a second; 0: not measured */
	double one, all; /* of one thread, of `threads` together */
};

#define PEAKS_LEVELS 4

struct peaks_level {
	char name[8];   /* "L1", "L2", "L3", "memory" */
	uint64_t size;  /* what fits in, of one thread; the last holds everything */
	struct peak bytes;
};

struct peaks {
	char machine[128]; /* "Intel(R) Xeon(R) Processor, 2 CPUs" */
	unsigned threads;
	struct peak fp32, fp64;
	struct peaks_level levels[PEAKS_LEVELS];
	unsigned n_levels;
	double others; /* the share of the CPUs that others had while it was measured, 0 to 1 */
};

/* Where they are kept; free(). NULL: there is no place. */
char *peaks_path(void);

/* 0; -ENOENT: nothing was measured on this kind of machine; or another -errno. */
int peaks_read(struct peaks *ret);
int peaks_write(const struct peaks *p);

/* Where @bytes that are used again and again lie. */
const struct peaks_level *peaks_level_of(const struct peaks *p, double bytes);

/* From here on what others did meanwhile may have made the peaks too low. */
#define PEAKS_BUSY 0.05

/* Measure, which takes some two seconds of all CPUs; the machine should have nothing else to do. */
void peaks_measure(struct peaks *ret);
