/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What replica.c, orders.c and answers.c share: a replica's life and its table of calls, what it is
 * told, and what it says.
 */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "replica/lines.h"
#include "replica/placement.h"
#include "replica/replica.h"
#include "replica/sanitizer.h"
#include "ring/link.h"

struct slot {
	void *call; /* NULL: free */
	uint64_t serial;
};

struct replica {
	struct replica *next_in_hub;
	struct hub *hub;
	const struct replica_callbacks *callbacks;
	void *context;
	struct child *child;
	pid_t pid;
	bool stopping, gone, broken, is_up, killed, is_private;
	const char *interrupted; /* why, or NULL */
	char *runtime;           /* of a sanitizer, or NULL */
	struct sanitizer_report report;
	struct crash *crash; /* our copy, at the end */
	uint64_t oom_kills; /* of the machine when it started */
	unsigned n_loads, n_swaps, n_unloads, n_proofs, n_measurements; /* answers that are still due */
	bool has_swapped;
	unsigned n_handles;

	int link_fd, bell_fd;
	struct link_shared *link;
	struct ring to_worker, to_server;
	uv_poll_t bell;
	uv_timer_t grace;

	struct placement placement;

	struct slot slots[REPLICA_MAX_CALLS];
	uint16_t free_slots[REPLICA_MAX_CALLS];
	unsigned n_free;
	uint64_t n_calls;
	unsigned grace_ms;

	struct lines lines;
};

/* The worker wrote what it must not: it is not talked to any more, and dies of it. */
void replica_break_off(struct replica *r);
/* It has started, and isn't our own child: which process it is. */
void replica_learn_pid(struct replica *r);
/* No callback after this. */
void replica_dismantle(struct replica *r);
/* Its call, which is not in the table any more. */
void *replica_free_slot(struct replica *r, unsigned slot);
/* It has nothing to finish any more: it is killed after a while. */
void replica_start_grace(struct replica *r);
