/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Waiting
 *
 * How long a thread was ready to run and did not, because somebody else had the processor: by the
 * scheduler's own count (/proc/thread-self/schedstat). Where the kernel keeps none it is 0.
 */

#include <stdint.h>

struct waiting {
	int fd;          /* -1: there is no such count */
	long switches;   /* of the thread, when it was read last */
	uint64_t ns;     /* and what it said */
};

/* Of the calling thread, which alone may ask. */
void waiting_open(struct waiting *w);
void waiting_close(struct waiting *w);

/* Since the last time that it was asked. Costs little where the thread ran all the time. */
uint64_t waiting_ns(struct waiting *w);
