/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Replica
 *
 * A worker process, seen from the server: its link, its images, and the server's own table
 * of the calls that are in flight there. Nothing that the worker writes is believed: slots
 * and counters are checked against that table, and a worker that breaks the rules is killed
 * like one that died. All on the loop's thread; callbacks come from the loop.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ring/ring.h"

struct arena;
struct child_end;
struct hub;
struct link_shared;
struct replica;

#define REPLICA_MAX_CALLS 128

/* Those that are NULL are not called. */
struct replica_callbacks {
	/* The worker has started and waits for an image. */
	void (*up)(void *context);
	/* The outcome of replica_load(): 0, or an errno with a sentence. */
	void (*loaded)(void *context, int error, const char *sentence);
	/* The loaded image serves; what was submitted before ran on the one before. */
	void (*swapped)(void *context, uint64_t pause_ns);
	/* The image before is closed; @unmapped: and really gone. */
	void (*unloaded)(void *context, bool unmapped);
	/* The call has ended: read its struct call. */
	void (*done)(void *context, void *call);
	/* The call wants @size bytes for an output: an offset in the arena, or 0. */
	uint64_t (*need)(void *context, void *call, uint64_t size);
	/* A line that the worker or its deployment printed; @level: enum devserve_level. */
	void (*line)(void *context, int level, const char *text, size_t size);
	/*
	 * The process is gone and so is the struct: @how is a sentence ("was killed by signal 11
	 * (Segmentation fault)"). Calls in flight were given to @lost before, each once, the
	 * newest first; only the last of them, the oldest, can have @begun.
	 */
	void (*lost)(void *context, void *call, bool begun);
	void (*died)(void *context, pid_t pid, const char *how);
};

struct replica_options {
	const char *worker;   /* path of devserve-worker */
	const char *name;     /* of the deployment; for the process list */
	struct arena *arena;  /* borrowed */
	uint64_t epoch;
	const struct replica_callbacks *callbacks; /* borrowed, static */
	void *context;
};

/* 0 or -errno. */
int replica_start(struct hub *hub, const struct replica_options *o, struct replica **ret);

/* Ask it to end after its calls; `died` comes. @grace_ms after the last of them it is killed. */
void replica_stop(struct replica *r, unsigned grace_ms);

/* End it at once; `lost` and `died` come. */
void replica_kill(struct replica *r);

/* Kill and forget: no callback comes any more. NULL is fine. Returns NULL. */
struct replica *replica_abandon(struct replica *r);

/* Map and create the image at @path beside the one that serves. One at a time. */
void replica_load(struct replica *r, const char *path);
void replica_swap(struct replica *r, uint32_t generation);

/*
 * Submit the struct call at @offset of the arena. It is seen by the worker at the end of
 * this iteration. 0, or -EAGAIN: too many in flight.
 */
int replica_call(struct replica *r, uint64_t offset, void *call);

/* Its calls are so short that a wake-up across CPUs would cost more than they do. */
void replica_set_beside(struct replica *r, bool beside);

/* How many more replica_call() takes now. */
unsigned replica_room(const struct replica *r);
unsigned replica_in_flight(const struct replica *r);
pid_t replica_pid(const struct replica *r);

/* Whom callbacks go to from now on (a spare that is promoted). */
void replica_set_callbacks(struct replica *r, const struct replica_callbacks *callbacks, void *context);

/* For the hub. */
bool replica_drain(struct replica *r);   /* handle completions; whether there were any */
void replica_flush(struct replica *r);   /* publish submissions and wake the worker */
void replica_disarm(struct replica *r);  /* it is awake: nobody needs to ring */
void replica_arm(struct replica *r);     /* the server is about to sleep */
bool replica_pending(const struct replica *r); /* completions are there */
struct replica **replica_link(struct replica *r); /* next in the hub's list */
