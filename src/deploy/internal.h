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
#include "deploy/companion.h"
#include "deploy/deploy.h"
#include "deploy/handle.h"
#include "deploy/proof.h"
#include "infer/request.h"
#include "record/recorder.h"
#include "replica/arena.h"
#include "replica/hub.h"
#include "replica/replica.h"
#include "state/fit.h"

#define BATCH_MAX_MEMBERS 64
#define MAX_TRIED 8
#define DEPLOYMENT_CHANGED \
	"the deployment's inputs or outputs changed while the request was under way; send it again"

struct call;
struct copying;
struct call_tensor;
struct seat;
struct shadow;
struct shadow_copy;

enum ticket { TICKET_WAITING, TICKET_BATCH };

enum waiting_place { WAITING_IN_QUEUE, WAITING_IN_RETRY, WAITING_FOR_CANARY };

struct waiting {
	enum ticket ticket; /* first */
	struct infer_request *request;
	uint64_t since_ns;
	enum infer_status refused; /* in deploy.refused: why */
	unsigned attempts;         /* that a worker died of, or in */
	enum waiting_place place;  /* whose queue it is in */
	uint32_t blamed;           /* in retry.queue: the generation that died of it */
	TAILQ_ENTRY(waiting) entry;
};

TAILQ_HEAD(waiting_list, waiting);

/* One call: the requests it answers and the memory it uses. */
struct batch {
	enum ticket ticket; /* first */
	struct deployment *deployment;
	struct arena *arena;         /* that `block` and all its tensors lie in */
	struct shadow_copy *copy;    /* it is one, and has no members; or NULL */
	struct seat *seat;           /* where it runs; valid while it is in flight */
	struct replica *replica;     /* whose call it is, also when it has retired; the same */
	struct signature *signature; /* counted */
	uint32_t generation;
	uint32_t rows;     /* of all members together */
	unsigned n_members;
	unsigned n_users;  /* members that still read outputs */
	struct {
		struct infer_request *request; /* NULL: cancelled */
		uint32_t rows;
		unsigned attempts;
		uint64_t since_ns;
	} members[BATCH_MAX_MEMBERS];
	bool unwanted;     /* all have been, since it was submitted */
	uint64_t submitted_ns;
	uint64_t due_from_ns; /* its time runs from here (deadline.c) */
	uint64_t block;    /* struct call, gathered inputs, outputs, spill */
	struct known_output {   /* our own copy: the worker may scribble over the call's */
		uint64_t offset; /* as we chose it; 0: the worker does. Once it was read: where it is */
		uint64_t size;
		uint32_t rank;
		bool shaped;     /* rank and shape are known before the call */
		int64_t shape[DEVSERVE_MAX_RANK];
	} outputs[DEVSERVE_MAX_TENSORS];
	unsigned n_granted, n_orphans;
	uint64_t granted[2 * DEVSERVE_MAX_TENSORS];   /* blocks given on LINK_NEED */
	uint64_t orphans[BATCH_MAX_MEMBERS];          /* inputs of cancelled members */
	SLIST_ENTRY(batch) entry; /* in deploy.free_batches */
	LIST_ENTRY(batch) flying; /* in seat.batches */
};

/* An image that serves or is about to: our copy of its file, and what it declares. */
struct release {
	char *path;
	char *weights; /* path of their index, or NULL */
	char *device;  /* our copy of its device code, or NULL */
	char *runtime; /* of the sanitizer that it was built for, or NULL: its workers start with it, others don't */
	char *layout_path; /* of its state's layout, or NULL: there is none, or it isn't known */
	struct layout *layout;
	struct hash image;
	struct signature *signature;
	uint32_t generation;
};

/* A rollout that was asked for. */
struct wish {
	struct release release;
	struct deployment_settings settings;
	bool fresh; /* in fresh workers, not beside the old image */
	bool accept; /* answers that differ are meant to */
	char *accepted; /* then: directory of what they are (accepted.c) */
	struct golden_cases *golden; /* counted; or NULL */
	rollout_done_fn done;
	void *context;
	struct buffer state; /* what is to be told of the state */
	struct buffer unwritten; /* and of golden files */
};

enum rollout_stage {
	ROLLOUT_IDLE,
	ROLLOUT_TRIAL,    /* a worker that serves nobody loads it */
	ROLLOUT_LOADING,  /* every seat loads it */
	ROLLOUT_SWAPPING, /* every seat had it; swaps are in the rings */
};

enum seat_stage {
	SEAT_IDLE,
	SEAT_LOADING,  /* the wish, in `serving` or in `incoming` */
	SEAT_LOADED,
	SEAT_SWAPPING, /* `serving` was told */
};

LIST_HEAD(batch_list, batch);

/* The place of one replica: workers come and go in it. */
struct seat {
	struct deployment *deployment;
	unsigned index;
	enum seat_stage stage;    /* in the rollout that is under way */
	struct replica *serving;  /* or NULL: none yet, or it died */
	struct replica *incoming; /* loads; takes over when it may */
	bool incoming_has;        /* what it was to load */
	bool heir;                /* `incoming` swaps when `serving` has ended (it has the state) */
	bool must_replace;        /* a fresh worker is due */
	uint32_t generation;      /* that new calls of `serving` run on */
	unsigned n_generations;   /* that `serving` has had */
	struct batch_list batches; /* in flight */
	bool told;                /* of its worker's crash, with the call */
	unsigned n_failures;      /* deaths in a row, without an answer in between */
	unsigned n_idle_deaths;   /* of those, the ones that no call explains */
	unsigned n_deaths;        /* of both kinds, of the generation that serves */
	bool answered;            /* that one did, a call */
	uint64_t died_ns, started_ns;
	uv_timer_t restart;
	uv_timer_t patience;      /* of a load: create() may hang */
	uint64_t patient_until_ns; /* where the serving worker loads */
	uint32_t ran;             /* call that ran when it was last looked whether a swap waits for one */
	bool wait_told;           /* that it does */
};

/* Calls that a generation died of, once more on another one (deploy/retry.c). */
struct retry {
	struct seat seat;
	struct waiting_list queue; /* of all rounds */
	unsigned n_waiting;
	struct signature *signature; /* of what its worker has; counted */
	uint32_t blamed;          /* in this round: the generation that died; 0: there is none */
	bool any_answered;        /* then the generation was at fault, */
	bool any_died;            /* unless a request killed the other one too */
	uint32_t why_of;          /* the generation that */
	char *why;                /* is how it died */
};

#define COMPANION_TIMES 256

struct companion_times {
	uint64_t ns[COMPANION_TIMES]; /* the newest */
	uint64_t n;
};

struct companion_count {
	uint64_t requests, failures, calls;
	struct companion_times times;
};

/* Another generation beside the one that serves (deploy/companion.c). */
struct companion {
	enum companion_kind kind;
	struct seat seats[DEPLOY_MAX_REPLICAS]; /* a shadow has one */
	unsigned n_seats;         /* that are to have a worker; others may still have calls */
	unsigned n_killed;        /* workers, from outside */
	struct release release;
	bool serves;              /* one of its workers takes calls */
	bool told;                /* that it does, once */
	double share;
	uint64_t n_offered;       /* requests that it was asked about (canary.c) */
	uint64_t n_diverted;
	struct waiting_list queue; /* a canary's */
	unsigned n_waiting;
	uint64_t window_ns;       /* as the deployment's */
	struct shadow *shadow;    /* or NULL: it is a canary */
	struct verdict verdict;   /* the last, if judged_ns */
	uint64_t judged_ns, judged_calls; /* when, and how many there had been; 0: never */
	struct companion_count counts[2]; /* of the one that serves, of this one */
	companion_done_fn done;   /* who waits for it to serve; or NULL */
	void *done_context;
};

/* Generations of the same number answer alike (answers.c). */
struct answers {
	uint32_t generation, number;
};

struct deployment {
	struct handle handle; /* first: what ingress sees */
	struct deploy *deploy;
	unsigned n_refs;      /* handles, batches, replicas, and the registry */
	char *name;
	char *reason;
	bool removed, has_arena;
	struct arena arena;
	struct recorder recorder;
	struct deployment_settings settings;
	LIST_ENTRY(deployment) entry;

	struct waiting_list queue;
	unsigned n_waiting;
	uint64_t window_ns;   /* moving mean of a call's time in the worker */
	uint64_t spill_guess;
	uv_timer_t delay;     /* wakes the loop when a batch has waited long enough */
	bool delay_armed;
	uv_timer_t deadline;  /* when the oldest request's time may be over */

	struct seat seats[DEPLOY_MAX_REPLICAS];
	unsigned n_seats;
	struct release current;   /* what serves, or served when its workers died */
	struct release previous;  /* what served before, to fall back to; or nothing */
	uint32_t last_generation; /* the highest number so far */
	uint32_t before;          /* the number that served before the last swap */
	struct retry retry;
	struct companion companion;

	struct replica *spare;    /* holds `current`, created, and serves nobody */
	bool spare_has;
	struct replica *tried;    /* holds the wish: the next spare */

	enum rollout_stage stage;
	struct wish wish, next_wish;
	bool has_next_wish;
	struct trial *trial;
	uint64_t unjudged_ns;     /* when it swapped to a generation whose speed is to be told; 0: none is */
	bool unjudged_beside;    /* that is its companion */
	uint64_t stage_ns, trial_ns, pause_ns;
	int trial_error;
	bool trial_disturbed;
	struct proof_summary proof; /* of the trial, */
	bool has_proof;             /* if it came to that */
	struct answers *answers;    /* of each generation that has served */
	size_t n_answers;
	uint32_t last_answers;      /* the highest number of them so far */

	struct deployment_stats stats;
};

struct deploy {
	struct hub *hub;
	struct deploy_callbacks cb;
	char *worker, *generations_dir, *state_dir;
	uint64_t max_worker_memory;
	unsigned max_queue;
	struct arena_budget budget;
	struct arena trial_arena;
	struct recorders recorders;
	struct copying *free_copyings; /* record.c */
	LIST_HEAD(, deployment) deployments; /* in order of names */
	LIST_HEAD(, deployment) removed;
	size_t n_deployments;
	struct waiting_list refused;  /* answered at the end of the iteration */
	struct waiting_list free_waiting;
	SLIST_HEAD(, batch) free_batches;
	struct replica *spare;        /* has started, waits for an image; or NULL */
	bool spare_is_up;
	bool spares_held;             /* deployments get none yet */
	bool any_cuda;                /* a deployment uses a GPU: blank workers prepare for that */
	struct trial *trials;
	struct verdicts *verdicts;
	bool closing;
	unsigned create_timeout_ms;
	uint64_t proof_ns;            /* that recordings may take in a trial */
	uint64_t n_calls, n_calls_seen; /* submitted; of those, when last looked */
	uv_timer_t look, later;
	struct replica *tried[MAX_TRIED]; /* workers whose trial is over; killed a little later */
	unsigned n_tried;
};

/* deploy.c: there was a call; look after memory in a second. */
void deploy_look_later(struct deploy *d);

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
/* An image of that signature is about to be loaded, here or beside it. */
void deployment_expect(struct deployment *d, const struct signature *s);
/* Whether any seat has a worker. */
bool deployment_serves(const struct deployment *d);
/* Requests in the queue that were made for another signature are answered with 503. */
void deployment_refuse_strangers(struct deployment *d);
struct waiting *waiting_new(struct deploy *d, struct infer_request *r, uint64_t since_ns);
void waiting_free(struct deploy *d, struct waiting *w);

/* lane.c: submit what can be submitted now; whether anything was. */
bool lanes_dispatch(struct deployment *d);

/* batch.c: one without members, for a worker of @signature's. */
struct batch *batch_new(struct deployment *d, struct signature *signature);
/* It will not be submitted. */
void batch_discard(struct batch *b);
/* The request of @w as one more member; both stay where they are. */
void batch_add(struct batch *b, struct waiting *w);
/* To the worker of @seat, which has room; @r: what batch_reserve() returned. If that failed, its members are told. */
void batch_submit(struct batch *b, struct seat *seat, int r, uint64_t spill);
void batch_done(struct batch *b);
uint64_t batch_grant(struct batch *b, uint64_t size);
void batch_drop_user(struct batch *b);
void batch_forget(struct batch *b, struct infer_request *r);
/* It is done, and the worker says that it didn't run it, since nobody waited for it any more. */
bool batch_was_skipped(const struct batch *b);
/* Its members are answered so, and it ends. */
void batch_fail(struct batch *b, enum infer_status status, const char *sentence);
/* The same for its members alone: the worker may still be at it. */
void batch_answer_early(struct batch *b, enum infer_status status, const char *sentence);
/* Its members wait again, at the head of the deployment's queue, with one more attempt behind them if @begun. */
void batch_put_back(struct batch *b, bool begun);
/* The same in retry.queue: @blamed died of it. */
void batch_put_apart(struct batch *b, uint32_t blamed, bool begun);
/* One call of @w alone, on @seat. */
void batch_submit_alone(struct deployment *d, struct seat *seat, struct waiting *w);
/* A call that is written, to the worker of @seat, which has room. */
void batch_launch(struct batch *b, struct seat *seat);
/* "INPUT0 FP32[8,16], INPUT1 FP32[16,4]" */
void batch_describe(const struct batch *b, struct buffer *ret);

/*
 * call.c: memory for its call. To be joined, inputs are copied: where there is no room for that the first
 * member goes alone, as it lies, and the others are members no more. 0, -EOVERFLOW or -ENOMEM.
 */
int batch_reserve(struct batch *b, uint64_t *ret_spill);
/* That memory is what the worker reads from here on. */
void batch_write(struct batch *b, uint64_t spill);
/* Where the inputs of several members lie, one after the other, each aligned. */
uint64_t batch_inputs_at(const struct batch *b);
/*
 * The same call for a worker of @signature's, in @arena, all but the bytes of its inputs; while the
 * members of @of are there. NULL: no memory. batch_drop_user() frees it.
 */
struct batch *batch_copy(const struct batch *of, struct shadow_copy *copy, struct arena *arena,
			 struct signature *signature);

/* keep.c: nobody has cancelled. */
bool batch_is_whole(const struct batch *b);
/* Its inputs, as they lie in its arena; of one that is whole. */
void batch_inputs(const struct batch *b, struct call_tensor *ret);
/* With its inputs it stays until batch_drop_user(); before its members are answered, and it is whole. */
void batch_keep(struct batch *b);

/* record.c: it has been answered, and `outputs` were read; its members are still there. */
void record_offer(struct batch *b, uint64_t compute_ns);
/* The loop has ended. */
void record_close(struct deploy *d);

/* outputs.c */
static inline uint64_t align64(uint64_t n)
{
	return (n + 63) & ~UINT64_C(63);
}
/* Bytes that an output of @size takes in the call's memory: a canary follows it (worker/guard.c). */
uint64_t output_room(uint64_t size);
/* b->outputs[@i]: its shape, and from that its size, as far as they are settled before the call. 0, -EOVERFLOW. */
int outputs_know(struct batch *b, uint32_t i);
/* Every member's outputs, from what the worker left. False: it wrote nonsense. */
bool outputs_read(struct batch *b, const struct call *call);

/* deadline.c: requests and calls that took too long. */
void deadline_arm(struct deployment *d, const struct infer_request *r);
void deadline_on_timer(uv_timer_t *timer);
/* The timer was set by another limit. */
void deadline_settings_changed(struct deployment *d);

/* seat.c */
void seat_init(struct seat *s, struct deployment *d, unsigned index);
/* A worker that loads @release: the spare that has it, or a new one. In s->incoming. 0 or -errno. */
int seat_start(struct seat *s, const struct release *release);
/* The same when its worker has died or should be replaced; after a while if it died often. */
void seat_restart(struct seat *s);
void seat_replace(struct seat *s, const char *because);
/* Load @wish beside what serves, or in a fresh worker. */
int seat_load(struct seat *s);
/* What was loaded serves from here on. */
void seat_commit(struct seat *s);
/* It will not. */
void seat_drop(struct seat *s);
/* Ends its workers: they finish their calls. */
void seat_retire(struct seat *s);
void seat_close_timers(struct seat *s);
bool seat_is_busy(const struct seat *s);
/* Its workers die, one after the other, and no answer comes in between. */
bool seat_is_dying(const struct seat *s);
/* Its worker died, running @generation: tell that, and where, unless that was told with a call. */
void seat_tell_died(struct seat *s, uint32_t generation, const struct replica_end *end);

/* rollout.c */
void rollout_close(struct deployment *d);
void rollout_on_removed(struct deployment *d);
/* The seat has loaded the wish, or could not. */
/* The number that the wish gets should it come to serve. */
uint32_t rollout_number(const struct deployment *d);
void rollout_on_loaded(struct seat *s, int error, const char *sentence);
void rollout_on_swapped(struct seat *s, uint64_t pause_ns);
/* The generation before serves again, everywhere: the current one is at fault. False: it can't. */
bool rollout_fall_back(struct deployment *d, const char *why);

/*
 * accepted.c: @directory, in which the trial finds a place for each of @g's cases (NULL: there are none), and
 * whose files, if the image serves, take theirs in the golden cases. What can't be written is told in @why.
 */
void accepted_open(const char *directory, const struct golden_cases *g);
void accepted_take(const char *directory, const struct golden_cases *g, struct buffer *why);
/* It goes with all that is in it. NULL is fine. Returns NULL. */
char *accepted_close(char *directory);

/* answers.c */
/* @generation was proved to answer as @before does; 0: nothing served. */
void answers_follow(struct deployment *d, uint32_t generation, uint32_t before);
/* What @generation answers is its own: no other's counts for it, nor its for others. */
void answers_differ(struct deployment *d, uint32_t generation);
/* Whether either was said of it. */
bool answers_are_known(const struct deployment *d, uint32_t generation);

/* release.c */
/* A copy of the files of @r, with paths of their own. 0 or -errno; release_fini() in any case. */
int release_copy(struct deployment *d, const struct rollout *r, struct release *ret);
/* Nothing of it is needed any more. */
void release_fini(struct release *r);
/* As replica_load() wants it; points into @r. */
struct replica_image release_image(const struct release *r);
/*
 * How the state that what serves leaves becomes that of @to. STATE_MISFIT with a sentence in @ret;
 * what there is to tell of the other ways as well.
 */
enum state_fit release_fit(const struct deployment *d, const struct release *to, struct buffer *ret);
/* The same of what serves and @r. STATE_MISFIT with a sentence in @why. */
enum state_fit release_fit_rollout(const struct deployment *d, const struct rollout *r, struct buffer *why);

/* companion.c */
void companion_init(struct deployment *d);
bool companion_has(const struct seat *s);
/* tally.c: a call has ended, and its members are about to be answered. */
void companion_saw(struct batch *b, enum infer_status status, uint64_t compute_ns);
/* A shadow has answered a copy of a call that took @of_ns. */
void companion_saw_copy(struct deployment *d, unsigned n_requests, bool failed, uint64_t of_ns, uint64_t copy_ns);
void companion_tell(struct deployment *d, enum companion_news news, const char *reason);
/* The same, with what was known of it earlier. */
void companion_tell_of(struct deployment *d, const struct companion_facts *facts, enum companion_news news,
		       const char *reason);
/* Whether it is to be measured (again). The timer's data is one of its seats. */
void companion_on_look(uv_timer_t *timer);
/* verdict.c has measured it; NULL: it couldn't. */
void companion_judged(struct deployment *d, const struct verdict *v);
/* Calls of one that has ended still run. */
bool companion_drains(const struct deployment *d);

/* canary.c: whether the request that comes now is the canary's. */
bool canary_takes(struct deployment *d);
void canary_enqueue(struct deployment *d, struct waiting *w);

/* shadow.c: once companion.release is there. 0 or -errno. */
int shadow_new(struct deployment *d, struct shadow **ret);
/* It goes when the last of its copies has. NULL is fine. */
void shadow_end(struct shadow *s);
struct arena *shadow_arena(struct shadow *s);
void shadow_get(const struct shadow *s, struct companion_facts *ret);
void shadow_trim(struct shadow *s);
/* A request needs memory: shadows do without, as far as that is possible at once. */
void shadow_press(void *deploy);
/* @of has been answered, its members are still there. */
void shadow_offer(struct shadow *s, struct batch *of, uint64_t compute_ns);
bool shadow_dispatch(struct deployment *d);
/* What becomes of a batch that is a copy. */
void shadow_done(struct batch *b);
void shadow_lost(struct batch *b);
uint64_t shadow_grant(struct batch *b, uint64_t size);

/* retry.c */
void retry_on_lost(struct seat *s, struct batch *b, bool begun, const struct replica_end *end);
void retry_dispatch(struct deployment *d);
void retry_close(struct deployment *d);

/* spare.c: workers that wait. */
void spare_init(struct deploy *d);
/*
 * One that has started, with @callbacks, for an image that wants @runtime (or NULL); the blank one,
 * or a new one. 0 or -errno.
 */
int spare_take_blank(struct deploy *d, const char *runtime, const struct replica_callbacks *callbacks, void *context,
		     struct replica **ret, bool *ret_is_up);
/* The deployment's, which holds its current image; NULL: it has none yet. */
struct replica *spare_take(struct deployment *d);
/* @r holds what serves now, and waits. */
void spare_adopt(struct deployment *d, struct replica *r);
void spare_drop(struct deployment *d);
/* @r has had its trial; it is ended a little later. */
void spare_rest(struct deploy *d, struct replica *r);
/* A moment later: nothing that can wait belongs between the trial and the swap's answers. */
void spare_prepare(struct deploy *d);
void spare_on_later(uv_timer_t *timer);
void spare_close(struct deploy *d);
/* How long loading an image may take in a worker with @runtime (or NULL). */
uint64_t spare_patience_ms(const struct deploy *d, const char *runtime);

/* trial.c: load an image in a worker of its own, prove it there, and tell how that went. */
struct trial;
struct trial_result {
	int error;
	bool disturbed; /* it failed by what is no fault of the image: killed, no memory */
	const char *sentence;
	struct replica *replica; /* that has it loaded, the caller's now; NULL on an error */
	const struct proof_summary *proof; /* NULL: nothing was run */
};
typedef void (*trial_done_fn)(void *context, const struct trial_result *result);
/* @plan is copied, what it points to stays. */
struct trial *trial_start(struct deployment *d, const struct release *release, const struct proof_plan *plan,
			  trial_done_fn done, void *context);
struct trial *trial_cancel(struct trial *t);

/* verdict.c: old and new against each other (deployment_judge()). */
void verdicts_open(struct deploy *d);
void verdicts_close(struct deploy *d);
/* Nobody wants to know of @d's generations any more, or they go. */
void verdicts_drop(struct deployment *d);
/* The companion against what serves, once nothing else is due; then companion_judged(). Or not any more. */
void verdicts_judge_companion(struct deployment *d);
void verdicts_drop_companion(struct deployment *d);

/* crash.c: whether the innermost image on the stack is the one at @path */
bool crash_is_in(const struct crash *c, const char *path);

/* A death that was the worker's own doing is reported. */
void crash_tell(struct deployment *d, uint32_t generation, const struct batch *b,
		const struct replica_end *end);
/* @call: "X FP32[3]", or NULL. */
void crash_tell_call(struct deployment *d, uint32_t generation, const char *call, const struct replica_end *end);
