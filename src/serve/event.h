/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Events
 *
 * Everything that is worth telling, told once: emitted where it is decided, rendered by
 * sinks (terminal lines, `--json` on stdout, server-sent events). Names and members are an
 * interface: scripts and tests wait on them. As JSON each event is one object on one line,
 *
 *	{"event":"swap.done","time":"2026-01-31T14:03:22.123Z","deployment":"matmul",
 *	 "generation":8,"build":12, …}
 *
 * `deployment`, `generation` and `build` are there where they mean something; the members
 * after them are those of struct event that are set.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;
struct diagnostic;

/* name, and the members it carries beside the common ones */
#define EVENTS(X)                                                                         \
	X(SERVER_LISTENING, "server.listening")     /* url, path: the port is open, builds go on */ \
	X(SERVER_READY, "server.ready")             /* url, took_ns, n_deployments, n_serving: every first build has ended */ \
	X(SERVER_STOPPED, "server.stopped")         /* */                                 \
	X(DEPLOYMENT_ADDED, "deployment.added")     /* path */                            \
	X(DEPLOYMENT_REMOVED, "deployment.removed") /* path */                            \
	X(BUILD_STARTED, "build.started")           /* path */                            \
	X(BUILD_FAILED, "build.failed")             /* reason, text, diagnostics */       \
	X(BUILD_WARNED, "build.warned")             /* text, diagnostics: it built all the same */ \
	X(GOLDEN_CASE, "golden.case")               /* path, outcome, reason: in a check, each */ \
	X(TRIAL_FAILED, "trial.failed")             /* reason, proof, kernels */          \
	X(SWAP_DONE, "swap.done")                   /* from, cached, sanitizer */         \
	X(SWAP_REFUSED, "swap.refused")             /* reason, kernels */                 \
	X(SAVE_DONE, "save.done")                   /* outcome, state, stages, from, cached, sanitizer, identical, kernels, reason, took_ns */ \
	X(LOOPS_CHANGED, "loops.changed")           /* from, loops: of a generation that serves */ \
	X(VERDICT, "verdict")                       /* from, verdict, ratio, interval, control, rounds, inputs, reason, took_ns: after save.done */ \
	X(WORKER_DIED, "worker.died")               /* pid, reason */                     \
	X(CRASH_REPORT, "crash.report")             /* pid, reason, signal, what, call, frames */ \
	X(SANITIZER_REPORT, "sanitizer.report")     /* pid, reason, what, call, text, diagnostics, frames */ \
	X(WORKER_REPLACED, "worker.replaced")       /* pid, took_ns */                    \
	X(DEPLOYMENT_FELL_BACK, "deployment.fell-back") /* from, reason: it crashed, the generation before serves */ \
	X(DEPLOYMENT_ROLLED_BACK, "deployment.rolled-back") /* from, took_ns: somebody asked for it */ \
	X(CANARY_STARTED, "canary.started")         /* share, serving, beside: a second generation answers, too */ \
	X(CANARY_VERDICT, "canary.verdict")         /* verdict, ratio, interval: serving's time, by beside's */ \
	X(CANARY_ENDED, "canary.ended")             /* reason, share, serving, beside */  \
	X(SHADOW_STARTED, "shadow.started")         /* share, serving, beside: a second generation gets copies */ \
	X(SHADOW_VERDICT, "shadow.verdict")         /* verdict, ratio, interval: serving's time, by beside's */ \
	X(SHADOW_DIFFERS, "shadow.differs")         /* reason: which element; serving, beside, differing */ \
	X(SHADOW_ENDED, "shadow.ended")             /* reason, share, serving, beside */  \
	X(WATCH_OVERFLOW, "watch.overflow")         /* count */                           \
	X(NOTICE, "notice")                         /* reason: a sentence for the author */ \
	X(LOG, "log")                               /* level, text: a line of the deployment's */

enum event_kind {
#define EVENT_KIND(kind, name) EVENT_##kind,
	EVENTS(EVENT_KIND)
#undef EVENT_KIND
};

struct event_stage {
	const char *name; /* "settle", "gcc", "link", "trial", "swap" */
	uint64_t ns;
};

struct companion_facts;
struct deploy_verdict;
struct history_build;
struct kernel_figures;
struct loop_change;
struct proof_summary;

struct event_frame { /* innermost first; "" and 0: not known */
	const char *function, *file, *text; /* text: the line of source */
	unsigned line;
	bool changed; /* the file was saved after the code was built: its line isn't told */
};

struct event {
	enum event_kind kind;
	const char *deployment; /* or NULL */
	uint32_t generation;    /* or 0 */
	uint64_t build;         /* or 0: counts the saves that were acted on, one count a server */
	const char *path, *url, *reason, *text, *level;
	const char *state;      /* save.done: what became of it, where the struct changed */
	const char *outcome;    /* save.done: swapped unchanged build-failed trial-failed refused superseded */
	bool no_device;         /* trial.failed, save.done: what it needs isn't on this machine */
	uint32_t from;          /* generation that served before */
	const char *signature;  /* save.done: what of its inputs and outputs is other than before, or NULL */
	bool cached;            /* the image was known: no compiler ran */
	bool identical;         /* save.done: the code is that of `from`, but for its line tables */
	const char *sanitizer;  /* what finds its mistakes (replica/sanitizer.h), or NULL */
	const struct event_stage *stages;
	size_t n_stages;
	const struct diagnostic *diagnostics;
	size_t n_diagnostics;
	const struct kernel_figures *kernels; /* of CUDA, where the image has some */
	size_t n_kernels;
	const struct kernel_figures *kernels_before; /* of the generation before; by name */
	size_t n_kernels_before;
	const struct history_build *built; /* save.done: what came to serve; for the history alone, not in the JSON */
	const struct loop_change *loops; /* that are vectorised now and weren't, or were */
	size_t n_loops;
	const char *signal;     /* "SIGSEGV" */
	const char *what;       /* "wrote past the end of OUTPUT0 FP32[8,16]" */
	const char *call;       /* inputs of the call that ran: "INPUT0 FP32[8,16], …" */
	bool found_late;        /* when infer(), the only frame, had returned: where in it isn't known */
	const struct event_frame *frames;
	size_t n_frames;
	const struct deploy_verdict *verdict; /* verdict */
	const struct companion_facts *companion; /* canary.*, shadow.* */
	uint64_t took_ns;       /* save.done: the save's first file event to the swap */
	uint64_t count;
	unsigned n_deployments, n_serving; /* server.ready */
	const struct proof_summary *proof; /* save.done, trial.failed: of its golden cases and recorded requests */
	int pid;
};

struct events;

/* A sink gets the event and its JSON, one line with '\n', made once for all. */
typedef void (*event_sink_fn)(void *context, const struct event *e, const char *json, size_t size);

struct events *events_new(void);
struct events *events_free(struct events *e);
void events_add_sink(struct events *e, event_sink_fn sink, void *context);
void events_remove_sink(struct events *e, event_sink_fn sink, void *context);
void events_emit(struct events *e, const struct event *event);

/* The figures that kernel @name of @e had before, or NULL. */
const struct kernel_figures *event_kernel_before(const struct event *e, const char *name);

const char *event_name(enum event_kind kind);
