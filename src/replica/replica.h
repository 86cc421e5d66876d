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

#include "base/hash.h"
#include "ring/ring.h"

struct arena;
struct child_end;
struct crash;
struct hub;
struct link_load;
struct link_shared;
struct replica;

#define REPLICA_MAX_CALLS 128

enum replica_unloaded { REPLICA_UNMAPPED, REPLICA_STILL_MAPPED, REPLICA_THREADS_LEFT };

enum replica_cause {
	REPLICA_STOPPED, /* as it was asked to */
	REPLICA_KILLED,  /* by somebody else, or by the kernel for want of memory: not its fault */
	REPLICA_TIMEOUT, /* by replica_interrupt() */
	REPLICA_CRASHED, /* of itself: a signal, exit(), or it broke the rules of the ring */
};

struct replica_end {
	pid_t pid;
	enum replica_cause cause;
	const char *how;  /* "was killed by signal 11 (Segmentation fault)" */
	const struct crash *crash; /* what it left, a copy, bounded; or NULL */
	const char *report; /* what its sanitizer found (replica/sanitizer.h); or NULL */
};

/* What replica_load() loads; NULL: none. */
struct replica_image {
	const char *path;
	const char *weights; /* their index */
	const char *device;  /* its device code */
	const char *layout;  /* of its state */
	const char *serving; /* of a trial: image of the generation that serves, and leaves it its state */
	uint32_t serving_generation;
	const char *state;   /* checkpoint that a trial tries to take over */
	struct hash hash;    /* of the image; zero: not known */
	bool trial;
	bool cuda;           /* it needs a GPU */
};

/* Those that are NULL are not called. */
struct replica_callbacks {
	/* The worker has started and waits for an image. */
	void (*up)(void *context);
	/* The outcome of replica_load(): 0, or an errno with a sentence. */
	void (*loaded)(void *context, int error, const char *sentence);
	/* The loaded image serves; what was submitted before ran on the one before. */
	void (*swapped)(void *context, uint64_t pause_ns);
	/* The outcome of replica_prove(): 0, or an errno: nothing was run. */
	void (*proved)(void *context, int error);
	/* replica_measure() has ended: 0, or an errno and there is no report. */
	void (*measured)(void *context, int error);
	/* The image before is closed, as far as that went. */
	void (*unloaded)(void *context, enum replica_unloaded how);
	/* The call has ended: read its struct call. */
	void (*done)(void *context, void *call);
	/* The call wants @size bytes for an output: an offset in the arena, or 0. */
	uint64_t (*need)(void *context, void *call, uint64_t size);
	/* A line that the worker or its deployment printed; @level: enum devserve_level. */
	void (*line)(void *context, int level, const char *text, size_t size);
	/*
	 * The process is gone and so is the struct, after the call. Calls in flight were given to
	 * @lost before, each once, the newest first; @begun: infer() had it.
	 */
	void (*lost)(void *context, void *call, bool begun, const struct replica_end *end);
	void (*died)(void *context, const struct replica_end *end);
};

struct replica_options {
	const char *runtime;  /* path of the sanitizer's library that it starts with (replica/sanitizer.h); NULL: none */
	const char *worker;   /* path of devserve-worker; NULL: none, a test plays its part */
	const char *name;     /* for the process list, until replica_set_name() */
	struct arena *arena;  /* borrowed */
	const struct replica_callbacks *callbacks; /* borrowed, static */
	void *context;
};

/* What it was started with, or NULL. */
const char *replica_runtime(const struct replica *r);

/* 0 or -errno. */
int replica_start(struct hub *hub, const struct replica_options *o, struct replica **ret);

/* Ask it to end after its calls; `died` comes. @grace_ms after the last of them it is killed. */
void replica_stop(struct replica *r, unsigned grace_ms);

/* End it at once; `lost` and `died` come. */
void replica_kill(struct replica *r);

/* It takes too long (@why, static: "a call took …"): let it write down where it is, then end it. */
void replica_interrupt(struct replica *r, const char *why);

/* Kill and forget: no callback comes any more. NULL is fine. Returns NULL. */
struct replica *replica_abandon(struct replica *r);

/* It will come to need the GPU: have its context made, which takes a while. */
void replica_warm(struct replica *r);
/* Map and create an image beside the one that serves. One at a time. */
void replica_load(struct replica *r, const struct replica_image *image);
/* Run the loaded image, which doesn't serve yet, on the struct proof (ring/proof.h) in our descriptor @fd. */
void replica_prove(struct replica *r, int fd);
/* What a worker is told of @image, where it isn't told by replica_load(). */
void replica_describe_load(struct link_load *ret, const struct replica_image *image);
/* Carry out the struct measurement (ring/measurement.h) in our descriptor @fd. The worker is of no other use afterwards. */
void replica_measure(struct replica *r, int fd);
/* A worker that was just started, with all threads that it will have: it runs where nobody else wants to. */
void replica_yield(struct replica *r);
/* Close the loaded image again: it will not serve. */
void replica_drop(struct replica *r);
/* Tensors of the calls to come lie in @arena. Before the first swap. */
void replica_attach(struct replica *r, const struct arena *arena);
/* The loaded image serves from here on. @state: checkpoint file, of the first swap; or NULL. */
void replica_swap(struct replica *r, uint32_t generation, const char *state);
/* Its state is a copy of the checkpoint that the first swap names, and nobody else sees it. Before that. */
void replica_keep_private(struct replica *r);
/* Its threads run only where nobody else wants to. */
void replica_set_idle(struct replica *r);
/* What process lists call it from the next swap on. */
void replica_set_name(struct replica *r, const char *name);
/* From the next swap on: threads of BLAS and OpenMP, time between checkpoints of a large state (0: its own). */
void replica_set_limits(struct replica *r, unsigned threads, unsigned checkpoint_ms);

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
/* Whether infer() has @call now, by the worker's word. */
bool replica_runs(const struct replica *r, const void *call);
bool replica_runs_nothing(const struct replica *r);
/* Which call infer() has now, by the worker's word; 0: none. */
uint32_t replica_running(const struct replica *r);
/* Whether a debugger has it: it may stand still for hours, and nothing is wrong. */
bool replica_is_traced(const struct replica *r);
bool replica_is_stopping(const struct replica *r);
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

/* For tests that play the worker: what it shares, and its end. */
struct link_shared *replica_shared(const struct replica *r);
void replica_ended(struct replica *r, const struct child_end *end);
