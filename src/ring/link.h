/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Link
 *
 * What the server shares with one worker: two rings, the doorbells, and places for the
 * few things that don't fit into a message. A sealed memfd of fixed size, made anew for
 * every worker, for a dead writer leaves counters in any state.
 * Tensors are not here: they lie in the deployment's arena, which outlives workers.
 *
 * Field by field, who writes:
 *	magic … server_pid      the server, before the worker starts
 *	to_worker.tail, entries the server;   to_worker.head  the worker
 *	to_server.tail, entries the worker;   to_server.head  the server
 *	worker_sleeps           the worker sets it, whoever wakes it takes it back (a futex)
 *	server_sleeps           the server sets it, the worker takes it back
 *	load                    the server, before LINK_LOAD, not again before LINK_LOADED
 *	arena_path              the server, before LINK_ATTACH, once
 *	name                    the server, before LINK_SWAP: of the deployment, for process lists
 *	state_path              the server, before the worker's first LINK_SWAP, once
 *	running                 the worker: `extra` of the LINK_CALL that infer() has, 0: none
 *	threads                 the server, before LINK_SWAP: how many BLAS and OpenMP may use
 *	checkpoint_ms           the server, before LINK_SWAP: between checkpoints of a large state
 *	crash                   the worker, as it dies (ring/crash.h)
 *	sentence                the worker, before LINK_LOADED; read after it
 *	grant_*                 the server; grant_seq is a futex the worker waits on
 *
 * Sleeping without losing a wake-up: the sleeper sets its flag, fences, and looks at the
 * ring once more; the waker publishes, fences, and exchanges the flag to 0. One of the two
 * sees the other (store-load on both sides, hence seq_cst fences).
 */

#include <stddef.h>

#include "ring/crash.h"
#include "ring/ring.h"

#define LINK_MAGIC 0x4b4e494cu /* "LINK" */
#define LINK_VERSION 6u

/* Descriptors a worker starts with. */
#define LINK_FD 3     /* this memory */
#define LINK_ARENA 4  /* the deployment's arena */
#define LINK_BELL 5   /* eventfd: the worker rings the server */

enum link_message {
	/* to the worker */
	LINK_CALL = 1, /* offset: of a struct call in the arena; slot comes back; extra: its serial */
	LINK_LOAD,     /* map load.image and create(), beside the one that serves; extra: LINK_TRIAL */
	LINK_DROP,     /* close the loaded image, it will not serve; no answer */
	LINK_ATTACH,   /* this deployment's arena from now on, in place of the one it started with */
	LINK_SWAP,     /* from here on the loaded image serves; extra: its generation; size: 1: its state is private */
	LINK_STOP,     /* checkpoint, destroy() and exit(0) */
	LINK_WARM,     /* the GPU will be needed; no answer */
	LINK_PROVE,    /* run the loaded image on the struct proof in the server's descriptor `extra` */
	LINK_MEASURE,  /* time two images against each other; extra: the server's descriptor of a struct measurement */
	/* to the server */
	LINK_DONE,     /* slot: the call has ended, its struct call says how */
	LINK_NEED,     /* slot, size: memory for an output, please; answered by a grant */
	LINK_UP,       /* the worker is ready to load */
	LINK_LOADED,   /* extra: 0, or errno with `sentence` */
	LINK_SWAPPED,  /* extra: nanoseconds the swap took between two calls */
	LINK_UNLOADED, /* the old image; extra: enum link_unloaded */
	LINK_PROVED,   /* the struct proof says how; extra: errno, nothing was run */
	LINK_MEASURED, /* the report is there; extra: 0, or errno and it isn't */
};

enum { /* of LINK_LOAD, or'ed */
	LINK_TRIAL = 1, /* run the image's check, and its migrate() on a copy */
	LINK_CUDA = 2,  /* it needs a GPU */
};

enum link_unloaded {
	LINK_UNMAPPED = 1,
	LINK_STILL_MAPPED = 2, /* closed, and the loader keeps it */
	LINK_THREADS_LEFT = 3, /* not even closed: threads of its own still run in it */
};

/* What LINK_LOAD loads. Paths are absolute; "": none. */
struct link_load {
	char image[4096];
	char weights[4096]; /* index of the weights (ring/weights_index.h) */
	char state[4096];   /* checkpoint file that a trial copies (worker/state.h) */
	char device[4096];  /* its device code (base/pack.h) */
	char layout[4096];  /* of its state (state/layout.h) */
	char serving[4096]; /* image of the generation that serves, and leaves it its state */
	uint64_t serving_generation;
	char hash[56];      /* of the image's content: the same, the same code */
};

struct link_shared {
	uint32_t magic, version;
	uint32_t server_pid; /* a worker with another parent ends */
	uint32_t worker_pid; /* as the worker says */
	struct ring_shared to_worker;
	struct ring_shared to_server;
	alignas(64) _Atomic uint32_t worker_sleeps;
	alignas(64) _Atomic uint32_t server_sleeps;
	alignas(64) _Atomic uint32_t grant_seq;
	uint32_t checkpoint_ms;
	uint64_t grant_offset, grant_size; /* size 0: refused */
	_Atomic uint32_t running;
	uint32_t threads;
	alignas(64) struct link_load load;
	char sentence[1024];
	char arena_path[64];
	char name[128];
	char state_path[4096];
	alignas(64) struct crash crash;
};

_Static_assert(offsetof(struct link_shared, to_worker) == 64, "layout of the link");
_Static_assert(offsetof(struct link_shared, worker_sleeps) == 64 + 2 * sizeof(struct ring_shared),
	       "layout of the link");
_Static_assert(sizeof(struct link_shared) == 64 + 2 * sizeof(struct ring_shared) + 3 * 64 +
							sizeof(struct link_load) + 1024 + 64 + 128 + 4096 +
							sizeof(struct crash),
	       "layout of the link");

/* A sealed memfd of @size bytes, mapped, not inherited by forks; -errno. */
int link_memory(const char *name, size_t size, int *ret_fd, void **ret_map);

/* Wake the worker if it sleeps. Returns whether it did. */
bool link_wake_worker(struct link_shared *l);

/*
 * The worker's sleep: returns when woken, or at once when @readable says so after the flag is
 * set, or after @timeout_ns (0: never).
 */
void link_worker_sleep(struct link_shared *l, bool (*readable)(void *context), void *context,
		       uint64_t timeout_ns);

/* Grants: the server answers, the worker waits for the answer to request number @seq. */
void link_grant(struct link_shared *l, uint64_t offset, uint64_t size);
void link_await_grant(struct link_shared *l, uint32_t seq, uint64_t *ret_offset, uint64_t *ret_size);
