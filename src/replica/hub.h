/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Hub
 *
 * Where the loop and the replicas' rings meet. One wake-up for all calls that an iteration
 * submitted; completions drained after every poll; and, because a wake-up across cores costs
 * more than a small kernel, the loop polls for POLL_NS after the last submit instead of
 * sleeping. The discipline and what it gains is measured in bench/ and explained in
 * ARCHITECTURE.md, "Waking up".
 */

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct replica;

struct hub {
	uv_loop_t *loop;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_idle_t idle; /* active: the loop must not block */
	struct replica *replicas; /* linked by replica->next_in_hub */
	uint64_t last_submit_ns;
	uint64_t poll_until_ns;   /* somebody waits for a moment that timers are too coarse for */
	uint32_t n_in_flight;     /* calls, over all replicas */
	bool polling, submitted;
	bool few_cpus;            /* two or less */
	cpu_set_t cpus;           /* that we may use */
	unsigned n_open;
	/* Called before rings are flushed: whoever has calls to submit does it now. */
	bool (*flush)(void *context);
	void *context;
};

void hub_init(struct hub *h, uv_loop_t *loop, bool (*flush)(void *context), void *context);

/* Runs the loop until no handle but the hub's own is active. */
void hub_run(struct hub *h);

/* Ends hub_run() soon. */
void hub_close(struct hub *h);

void hub_add(struct hub *h, struct replica *r);
void hub_remove(struct hub *h, struct replica *r);
