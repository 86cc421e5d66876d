/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the files of deploy/ know of each other. A request is first a `waiting` in its
 * deployment's queue, then a member of a `batch`; infer_request.deploy points to either, and
 * both start with their kind.
 */

#include <sys/queue.h>
#include <uv.h>

#include "base/buffer.h"
#include "deploy/deploy.h"
#include "deploy/handle.h"
#include "infer/request.h"
#include "replica/arena.h"
#include "replica/hub.h"
#include "replica/replica.h"

#define BATCH_MAX_MEMBERS 64
#define MAX_TRIED 8

enum ticket { TICKET_WAITING, TICKET_BATCH };

struct waiting {
	enum ticket ticket; /* first */
	struct infer_request *request;
	uint64_t since_ns;
	enum infer_status refused; /* in deploy.refused: why */
	TAILQ_ENTRY(waiting) entry;
};

TAILQ_HEAD(waiting_list, waiting);

/* One call: the requests it answers and the memory it uses. */
struct batch {
	enum ticket ticket; /* first */
	struct deployment *deployment;
	struct signature *signature; /* counted */
	uint32_t generation;
	uint32_t rows;     /* of all members together */
	unsigned n_members;
	unsigned n_users;  /* members that still read outputs */
	struct {
		struct infer_request *request; /* NULL: cancelled */
		uint32_t rows;
		uint64_t since_ns;
	} members[BATCH_MAX_MEMBERS];
	uint64_t submitted_ns;
	uint64_t block;    /* struct call, gathered inputs, outputs, spill */
	struct known_output {   /* our own copy: the worker may scribble over the call's */
		uint64_t offset; /* as we chose it; 0: the worker does */
		uint64_t size;
		uint32_t rank;
		bool shaped;     /* rank and shape are known before the call */
		int64_t shape[DEVSERVE_MAX_RANK];
	} outputs[DEVSERVE_MAX_TENSORS];
	unsigned n_granted, n_orphans;
	uint64_t granted[2 * DEVSERVE_MAX_TENSORS];   /* blocks given on LINK_NEED */
	uint64_t orphans[BATCH_MAX_MEMBERS];          /* inputs of cancelled members */
	SLIST_ENTRY(batch) entry; /* in deploy.spare_batches */
};

/* An image that serves or is about to: our copy of its file, and what it declares. */
struct release {
	char *path;
	struct signature *signature;
	uint32_t generation;
};

/* A rollout that was asked for. */
struct wish {
	struct release release;
	rollout_done_fn done;
	void *context;
};

enum rollout_stage { ROLLOUT_IDLE, ROLLOUT_TRIAL, ROLLOUT_LOADING, ROLLOUT_SWAPPING, ROLLOUT_STARTING };

struct deployment {
	struct handle handle; /* first: what ingress sees */
	struct deploy *deploy;
	unsigned n_refs;      /* handles, batches, replicas, and the registry */
	char *name;
	char *reason;
	bool removed, has_arena;
	struct arena arena;
	LIST_ENTRY(deployment) entry;

	struct waiting_list queue;
	unsigned n_waiting;
	uint64_t window_ns;   /* moving mean of a call's time in the worker */
	uint64_t spill_guess;
	uv_timer_t delay;     /* wakes the loop when a batch has waited long enough */
	bool delay_armed;

	struct replica *serving;  /* or NULL: none yet, or it died */
	struct replica *incoming; /* starts; takes over when it has swapped */
	struct release current;   /* what serves, or served when the worker died */
	struct release old;       /* being unmapped */
	uint32_t last_generation; /* the highest number so far */
	uint32_t before;          /* the number that served before the last swap */
	uint64_t epoch;
	uint64_t died_ns, started_ns;
	unsigned n_failures;      /* deaths in quick succession */
	uv_timer_t restart;
	uv_timer_t patience; /* of a load: create() may hang */
	bool must_replace;   /* an image would not unmap: a fresh worker is due */

	enum rollout_stage stage;
	struct wish wish, next_wish;
	bool has_next_wish;
	struct trial *trial;
	uint64_t stage_ns, trial_ns;

	struct deployment_stats stats;
};

struct deploy {
	struct hub *hub;
	struct deploy_callbacks cb;
	char *worker, *generations_dir;
	unsigned max_queue;
	struct arena_budget budget;
	struct arena trial_arena;
	LIST_HEAD(, deployment) deployments; /* in order of names */
	LIST_HEAD(, deployment) removed;
	size_t n_deployments;
	struct waiting_list refused;  /* answered at the end of the iteration */
	struct waiting_list free_waiting;
	SLIST_HEAD(, batch) free_batches;
	struct replica *spare;        /* has started, waits for an image to try */
	struct trial *trials;
	bool closing;
	uv_timer_t trim, later;
	struct replica *tried[MAX_TRIED]; /* workers whose trial is over; killed a little later */
	unsigned n_tried;
};

/* deployment.c */
void deployment_ref(struct deployment *d);
void deployment_unref(struct deployment *d);
void deployment_close_timers(struct deployment *d);
/* Drop the registry's reference at the end of the server. */
void deployment_forget(struct deployment *d);
void deployment_refuse(struct deployment *d, struct infer_request *r, enum infer_status status,
		       uint64_t since_ns, const char *sentence);
/* Every request that waits is answered so. */
void deployment_refuse_all(struct deployment *d, enum infer_status status, const char *sentence);
void deployment_settle_removal(struct deployment *d);
/* Requests in the queue that were made for another signature are answered with 503. */
void deployment_refuse_strangers(struct deployment *d);
struct waiting *waiting_new(struct deploy *d, struct infer_request *r, uint64_t since_ns);
void waiting_free(struct deploy *d, struct waiting *w);

/* batch.c: submit what can be submitted now; whether anything was. */
bool batch_dispatch(struct deployment *d);
void batch_done(struct batch *b);
/* The worker died: answer with an error what it had begun, let the next one do the others. */
void batch_lost(struct batch *b, bool begun);
uint64_t batch_grant(struct batch *b, uint64_t size);
void batch_drop_user(struct batch *b);
void batch_forget(struct batch *b, struct infer_request *r);

/* rollout.c */
void rollout_close(struct deployment *d);
void rollout_on_removed(struct deployment *d);

/* trial.c: load an image in a worker of its own, and tell how that went. */
struct trial;
typedef void (*trial_done_fn)(void *context, int error, const char *sentence);
struct trial *trial_start(struct deploy *d, const char *name, const char *path, trial_done_fn done,
			  void *context);
struct trial *trial_cancel(struct trial *t);
/* A moment later: nothing that can wait belongs between the trial and the swap's answers. */
void trial_prepare_spare(struct deploy *d);
void trial_on_later(uv_timer_t *timer); /* of struct deploy, whose data is the deploy */
