/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Placement
 *
 * Which CPU a worker runs on. On a machine of two the other one belongs to clients and
 * compilers, and a wake-up across costs ten times one on the spot (43 against 4 µs): a worker
 * of short calls follows the server to whichever CPU it runs on. One of long calls runs where
 * it likes.
 */

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct placement {
	bool beside; /* its calls are short: it shares the server's CPU */
	int cpu;     /* where we put it; -1: anywhere */
	uint64_t moved_ns;
};

/* To the server's CPU, where it isn't there and wasn't moved a moment ago. */
void placement_follow(struct placement *p, pid_t worker);

/* All its threads, and those that they will start, run only where nobody else wants to. */
void placement_yield(pid_t worker);

/* Anywhere on @cpus. */
void placement_release(struct placement *p, pid_t worker, const cpu_set_t *cpus);
