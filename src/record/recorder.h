/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Recorder
 *
 * Keeps the last calls of a deployment with their answers, so that an image that is to serve
 * can be tried on what clients really sent. A recording is a call as the worker ran it: one
 * request, or the batch that several were joined to. They lie in a memory of the deployment's own
 * (ring/recording.h says how), which is not of --max-memory, and is bounded by count and bytes.
 *
 * A single one may take fifteen sixteenths of them; a larger one is never kept. What goes when there is no
 * room: of the kind (the shapes of the inputs, the first extent of a
 * batch only roughly) that has the most, the oldest. So a shape that came once stays beside one that
 * comes a thousand times a second. Not every call is taken: see record/allowance.h.
 *
 * Whoever has a worker look at recordings holds them meanwhile: what is held is neither
 * overwritten nor dropped. Loop's thread only, but for recorder_copy().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "record/allowance.h"
#include "replica/arena.h"
#include "ring/recording.h"

struct buffer;
struct recorder;
struct signature;
struct tensor;

#define RECORDER_MAX 64 /* recordings of one deployment */
#define RECORDER_KNOWN 16

/* What the recorders of a server share. All zero but the limits. */
struct recorders {
	uint64_t limit;   /* bytes, all together */
	uint64_t each;    /* of one deployment; 0: nothing is recorded */
	uint64_t used;
	uint64_t last_id; /* of the recordings so far, those of servers before that are still there too */
	LIST_HEAD(recorder_list, recorder) list;
};

/* The place of one recording. */
struct recorded {
	uint64_t offset; /* 0: there is none */
	uint64_t size;
	uint64_t kind;
	unsigned n_alike;      /* of its kind, */
	uint64_t bytes_alike;  /* and what they take */
	uint64_t id;
	struct signature *signature; /* that it was made for; counted */
	unsigned holds;
	bool whole;      /* all has been copied */
	bool dropped;    /* it goes as soon as nobody holds it */
	bool stale;      /* the deployment has another signature now */
};

struct recorder {
	struct recorders *all; /* borrowed: outlives us */
	LIST_ENTRY(recorder) entry;
	struct arena_budget budget;
	struct arena arena;    /* comes with the first recording */
	bool has_arena, failed;
	uint64_t too_large;    /* bytes of the largest call that can't be kept at all; 0: none came */
	struct allowance calls, bytes; /* what taking one costs whatever its size, and what copying does */
	struct signature *signature; /* of the last call that was offered; counted, or NULL */
	uint64_t known[RECORDER_KNOWN]; /* kinds that are there, each at its place; 0: none that is known of */
	struct recorded recorded[RECORDER_MAX];
};

/* A call that has been answered. @tensors: n_in inputs, then n_out outputs; offsets from @base. */
struct recorder_call {
	const char *base;
	struct signature *signature;
	uint64_t kind;
	uint64_t compute_ns;
	uint32_t generation, batch;
	uint32_t n_in, n_out;
	struct call_tensor tensors[2 * DEVSERVE_MAX_TENSORS];
};

/* Recordings that somebody holds, and where they are. */
struct recorder_view {
	char path[48];  /* of the memory, for workers to open and map: /proc/PID/fd/N */
	uint64_t size;  /* of the memory */
	const char *base; /* where the server has it mapped */
	unsigned n;
	uint64_t offsets[RECORDER_MAX]; /* of each struct recording */
};

void recorder_init(struct recorder *r, struct recorders *all);
void recorder_fini(struct recorder *r);

/* What the shapes of @inputs have in common with those of other calls. @rows: of the batch, 0: no batch. */
uint64_t recorder_kind(const struct tensor *inputs, uint32_t n, uint32_t rows);

/* Whether any call could be recorded now: else its kind needn't be asked for. */
bool recorder_listens(struct recorder *r, uint64_t now_ns);

/* Whether a call of that kind should be. After recorder_listens(). */
bool recorder_wants(struct recorder *r, struct signature *s, uint64_t kind);

/* Whether @c could be kept if all else went. If not, it is noted in `too_large`. */
bool recorder_has_room_for(struct recorder *r, const struct recorder_call *c);

/* What `each` must be so that a call that takes @bytes, as in `too_large`, is kept. */
uint64_t recorder_each_for(uint64_t bytes);

/*
 * A place for @c, with all but the tensors' bytes; NULL: there is no room. recorder_copy() fills it in,
 * on any thread, while @c and its memory stay; then recorder_keep() lets others see it.
 */
struct recorded *recorder_reserve(struct recorder *r, const struct recorder_call *c);
void recorder_copy(struct recorder *r, const struct recorded *d, const struct recorder_call *c);
void recorder_keep(struct recorder *r, struct recorded *d);

/* Bytes of the tensors of @c. */
uint64_t recorder_call_size(const struct recorder_call *c);

/*
 * Hold up to @most recordings whose clients could as well have asked a deployment with @s. The newest of
 * each kind comes first, then the second newest of each, and so on: any beginning of the
 * list is a fair choice. Returns how many; also of none, the view is to be released.
 */
unsigned recorder_hold(struct recorder *r, const struct signature *s, unsigned most, struct recorder_view *ret);

/* Hold that one; false: it isn't there. */
bool recorder_hold_one(struct recorder *r, uint64_t id, struct recorder_view *ret);

/* Once for each view. */
void recorder_release(struct recorder *r, const struct recorder_view *v);

/* A number that no recording gets. */
uint64_t recorder_take_id(struct recorder *r);

/* Drop all recordings: their answers are not what is wanted any more. */
void recorder_clear(struct recorder *r);

/* The recording, until the loop goes on; NULL: it isn't there (any more). */
const struct recording *recorder_find(struct recorder *r, uint64_t id);

/* The signature it was made for; borrowed, for as long as the recording is held. */
struct signature *recorder_signature(struct recorder *r, uint64_t id);

/* "INPUT0 FP32[8,16], INPUT1 FP32[16,4]": what @r asked of a deployment with signature @s; NULL: with no names. */
void recorder_describe(const struct recording *r, const struct signature *s, struct buffer *ret);

static inline const struct recording *recorder_at(const struct recorder_view *v, unsigned i)
{
	return (const struct recording *)(v->base + v->offsets[i]);
}
