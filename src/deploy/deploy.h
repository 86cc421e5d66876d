/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Deploy
 *
 * All deployments of a server: queues and batches in front of workers, and the rollout that
 * puts a new image behind a handle without a gap. Knows nothing of HTTP, of sources or of
 * compilers. Loop's thread only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/hash.h"
#include "deploy/companion.h"
#include "ring/work.h"
#include "verdict/verdict.h"

struct buffer;
struct crash;
struct deploy;
struct deployment;
struct golden_cases;
struct hub;
struct proof_summary;
struct recorder;
struct signature;

/* What a new image must come through before it serves. */
enum deployment_gate {
	GATE_REPLAY, /* load, golden cases, recorded requests */
	GATE_GOLDEN, /* load, golden cases */
	GATE_LOAD,   /* it loads, create() and its own check succeed, it takes the state */
	GATE_OFF,    /* nothing: the serving workers load it at once */
};

/* How a deployment is run (deployment.yaml). */
struct deployment_settings {
	unsigned num_replicas;         /* 1 … DEPLOY_MAX_REPLICAS */
	unsigned max_ongoing_requests; /* that one replica has at once; 0: no bound but ours */
	unsigned request_timeout_ms;   /* from arrival to answer; then 504. 0: none */
	bool idempotent;               /* a call may be repeated although there is state */
	unsigned checkpoint_ms;        /* between two checkpoints of state at least; 0: our policy */
	enum deployment_gate gate;
	double rtol, atol;             /* of floating outputs in a proof; < 0: by datatype */
};

#define DEPLOY_MAX_REPLICAS 16
#define DEPLOYMENT_SETTINGS_DEFAULT \
	((struct deployment_settings){ .num_replicas = 1, .request_timeout_ms = 30000, .rtol = -1, .atol = -1 })

/* A worker that died of itself, and what it left of that (ring/crash.h). */
struct deploy_crash {
	const char *name;    /* of the deployment */
	uint32_t generation; /* 0: in a trial */
	pid_t pid;
	const char *how;     /* "was killed by signal 11 (Segmentation fault)" */
	const char *report;  /* what its sanitizer found (replica/sanitizer.h), or NULL */
	const char *call;    /* "INPUT0 FP32[8,16], INPUT1 FP32[16,4]", or NULL: between calls */
	const struct crash *crash; /* a copy, bounded; NULL: it left none */
};

/* Of what serves against what served before; all borrowed. */
struct deploy_verdict {
	const char *name;    /* of the deployment */
	uint32_t from, generation;
	struct verdict verdict;
	const char *inputs[ROUND_MAX_COURSES];  /* "INPUT0 FP32[8,16]", of the verdict's inputs; NULL: there is none */
	uint64_t recordings[ROUND_MAX_COURSES]; /* their numbers */
	struct work works[ROUND_MAX_COURSES];   /* what a call of each has to do; zeros: not stated */
	bool by_gpu;         /* times are the GPU's, by its own clock */
	unsigned low_mhz, high_mhz; /* of that meanwhile; 0: not known */
	const char *slowed_by;      /* "power cap"; "": nothing that is known */
	const char *reason;  /* a sentence: why nothing was measured; or NULL */
	uint64_t took_ns;    /* since the swap */
};

struct deploy_callbacks {
	/* A line that a deployment (or a library in its worker) printed. */
	void (*line)(void *context, const char *name, uint32_t generation, int level,
		     const char *text, size_t size);
	void (*worker_died)(void *context, const char *name, uint32_t generation, pid_t pid,
			    const char *how);
	/* More about a death, beside worker_died or before the trial's end. All borrowed. */
	void (*crashed)(void *context, const struct deploy_crash *c);
	/* @from crashed (@why); @to, which served before, serves again. */
	void (*fell_back)(void *context, const char *name, uint32_t from, uint32_t to, const char *why);
	/* Another worker serves in its place, @took_ns after the death. */
	void (*worker_replaced)(void *context, const char *name, uint32_t generation, pid_t pid,
				uint64_t took_ns);
	/* A golden case has run in a trial; @outcome: enum proof_outcome, @why it is at fault or "". NULL: nobody asks. */
	void (*golden_case)(void *context, const char *name, const char *golden, unsigned outcome, const char *why);
	/* The swap to @generation waits: the worker has been busy with one call for seconds. */
	void (*swap_waits)(void *context, const char *name, uint32_t generation, pid_t pid);
	/* A fresh worker takes over from one that served well; @because is a clause. */
	void (*replacing)(void *context, const char *name, uint32_t generation, const char *because);
	/* Of a generation beside the one that serves (deploy/companion.h); @reason: a clause, unless STARTED. */
	void (*companion)(void *context, const char *name, const struct companion_facts *facts,
			  enum companion_news news, const char *reason);
	/* What is known of the layout of the state of an image (state/layout.h), appended to @ret. */
	void (*layout)(void *context, struct hash image, struct buffer *ret);
	/* Calls of @bytes, or more, are never recorded, for one is more than there is memory for; told once. */
	void (*unrecorded)(void *context, const char *name, uint32_t generation, uint64_t bytes);
	/* deployment_judge() has a verdict. */
	void (*judged)(void *context, const struct deploy_verdict *v);
	void *context;
};

struct deploy_options {
	const char *worker;          /* path of devserve-worker */
	const char *state_dir;       /* checkpoints: state_dir/state/NAME/REPLICA */
	const char *generations_dir; /* images that are mapped are copied there, one file each */
	uint64_t max_memory;         /* bytes, of all tensors together */
	uint64_t max_recordings;     /* bytes of the calls that one deployment keeps, of all four times that; 0: none */
	uint64_t max_worker_memory;  /* bytes that one worker may come to use; 0: any */
	unsigned create_timeout_ms;  /* of constructors and create() */
	unsigned proof_ms;           /* that recorded requests may take in a trial; golden cases take what they take */
	unsigned max_queue;          /* waiting requests of one deployment */
};

enum rollout_outcome {
	ROLLOUT_SWAPPED,
	ROLLOUT_TRIAL_FAILED, /* it would not load, or create() said no, or crashed: nothing changed */
	ROLLOUT_REFUSED,      /* the serving worker could not take it: nothing changed */
	ROLLOUT_SUPERSEDED,   /* a newer one came before this one was under way */
};

struct rollout {
	const char *image;           /* path; copied during the call */
	const char *weights;         /* path of their index (ring/weights_index.h), or NULL */
	const char *device;          /* path of its device code (base/pack.h), or NULL; copied, too */
	struct hash image_hash;      /* of its content: what is mapped already is not mapped again */
	struct deployment_settings settings; /* from its swap on; all zero: the default */
	const char *runtime;         /* path of the sanitizer's library that its workers start with, or NULL */
	bool fresh; /* its libraries are others: not into a worker that has the old ones */
	struct golden_cases *golden; /* a reference is taken; or NULL */
	bool accept;                 /* where its answers differ they are meant to */
	struct signature *signature; /* a reference is taken */
	uint32_t generation;         /* its number, should it come to serve; 0: the next */
};

struct rollout_result {
	enum rollout_outcome outcome;
	const char *sentence;  /* when it didn't swap */
	bool no_device;        /* ROLLOUT_TRIAL_FAILED with ENODEV: nothing is wrong with it elsewhere */
	bool disturbed;        /* ROLLOUT_TRIAL_FAILED by what is no fault of the image: killed, no memory */
	uint32_t generation;   /* that serves now */
	uint32_t from;         /* that served before; 0: none */
	const struct signature *before; /* of what served before, when it swapped; NULL: nothing did */
	const struct proof_summary *proof; /* of its trial; NULL: nothing was run */
	uint64_t trial_ns, swap_ns, pause_ns;
	const char *state;     /* ROLLOUT_SWAPPED: what became of it, where it isn't as it was; or NULL */
	const char *unwritten; /* ROLLOUT_SWAPPED: why golden files don't say what was accepted; or NULL */
};

/* @result lives during the call. */
typedef void (*rollout_done_fn)(void *context, const struct rollout_result *result);

/* Facts for status pages. */
struct deployment_stats {
	struct {
		pid_t pid;
		uint32_t generation;
		unsigned in_flight;
	} workers[DEPLOY_MAX_REPLICAS];
	unsigned n_workers; /* that serve */
	pid_t spare_pid;    /* 0: none waits */
	uint64_t requests, failures, executions, compute_ns, queue_ns;
	unsigned waiting, in_flight;
	uint64_t restarts;
	struct deployment_settings settings; /* in force */
	const char *sanitizer; /* what finds the mistakes of what serves (replica/sanitizer.h), static; or NULL */
	bool dying;     /* each of its workers has died several times, without an answer in between */
};

int deploy_new(struct hub *hub, const struct deploy_options *o, const struct deploy_callbacks *cb,
	       struct deploy **ret);

/* hub_init()'s flush. */
bool deploy_flush(void *context);

/* The highest number of a recording that is still kept somewhere: others come after it. */
void deploy_set_last_recording(struct deploy *d, uint64_t id);

/* Start no spare workers until it is called with false: the processors have better things to do. */
void deploy_hold_spares(struct deploy *d, bool yes);

/*
 * Ask all workers to end, or kill them (@now, also in a second call). They are gone when
 * hub_run() returns. No callback comes any more.
 */
void deploy_close(struct deploy *d, bool now);

/* After hub_run(). NULL is fine. Returns NULL. */
struct deploy *deploy_free(struct deploy *d);

/* A new deployment, LOADING. -EEXIST where one of that name is there. */
int deployment_add(struct deploy *d, const char *name, struct deployment **ret);

/* The highest number that generations of it have had so far, in this server or before. */
void deployment_set_last_generation(struct deployment *d, uint32_t generation);

struct handle *deployment_handle(struct deployment *d);

/* What serves, borrowed until the loop goes on; false: nothing does. Paths may be NULL. */
struct deployment_image {
	const char *path, *weights, *device;
	const char *runtime; /* of the sanitizer that it was built for */
	uint32_t generation;
	bool cuda, has_state;
};
bool deployment_get_image(const struct deployment *d, struct deployment_image *ret);

/* Its last calls (record/recorder.h). */
struct recorder *deployment_recorder(struct deployment *d);
/* Whether what @generation answered is what the one that serves is to answer, too. */
bool deployment_answers_as(const struct deployment *d, uint32_t generation);

/*
 * Time what serves against what served before, soon and beside everything else; cb.judged tells, unless
 * a newer one comes to serve first. Nothing where no call was recorded that both could answer.
 */
void deployment_judge(struct deployment *d);
/* A worker measures what came to serve, or will in a moment: what else is going on makes it less sure. */
bool deploy_is_judging(const struct deploy *d);

/* Drop what deployment_roll() was asked for: no `done` comes any more. */
void deployment_stop_rolling(struct deployment *d);

/* Finish what waits and runs, then stop its worker. The pointer is gone. */
void deployment_remove(struct deployment *d);

/* No generation can serve: @reason is a sentence. Only while none serves. */
void deployment_set_unavailable(struct deployment *d, const char *reason, bool no_device);

/* Why the newest save isn't the one that serves: a static string, or NULL. */
void deployment_set_stale(struct deployment *d, const char *stale);

/*
 * Bring an image into service: copy, trial in a spare worker, load beside the old one, swap
 * between two batches. @done comes once. While one is under way the newest waits.
 */
void deployment_roll(struct deployment *d, const struct rollout *r, rollout_done_fn done,
		     void *context);

void deployment_get_stats(const struct deployment *d, struct deployment_stats *ret);
