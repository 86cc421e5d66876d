/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Companion
 *
 * A second generation of a deployment beside the one that serves. A canary answers a share of
 * the requests; a shadow is given copies of them, and what it answers is compared and reaches
 * nobody. A deployment has one at most, in one worker of its own. It ends when it is told to,
 * when another generation comes to serve, and when its worker dies of itself.
 *
 * Loop's thread only.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "verdict/verdict.h"

struct buffer;
struct deployment;
struct rollout;

enum companion_kind { COMPANION_NONE, COMPANION_CANARY, COMPANION_SHADOW };

enum companion_news {
	COMPANION_STARTED, /* it serves */
	COMPANION_ENDED,
	COMPANION_JUDGED,  /* there is a first verdict on its speed, or another one */
	COMPANION_DIFFERS, /* a shadow's answer does; told at the 1st, the 10th, the 100th … */
};

/* What one of the two generations did while both ran. */
struct companion_side {
	uint64_t requests, failures; /* that it answered; of those, with an error */
	uint64_t calls;
	uint64_t median_ns;          /* of the newest calls of one request; 0: none yet */
};

struct companion_facts {
	enum companion_kind kind;
	uint32_t generation, serving_generation;
	double share;   /* of the requests; 1 for a shadow */
	pid_t pids[16]; /* of its workers that serve: DEPLOY_MAX_REPLICAS at most */
	unsigned n_pids;
	unsigned waiting, in_flight;
	bool judged;
	struct verdict verdict; /* on its speed, against the one that serves; if judged */
	uint64_t diverted; /* requests of a canary's that found it behind, and went to the other */
	uint64_t compared, differing; /* calls of a shadow */
	uint64_t dropped;  /* that found it behind */
	bool values;       /* are compared, not only shapes: there is no state */
	struct companion_side serving, beside;
};

/* It serves (@error 0), or it doesn't come to that: a sentence. Once; not after companion_forget(). */
typedef void (*companion_done_fn)(void *context, int error, const char *sentence);

/*
 * Bring the generation of @r (its image, weights, device code, signature and number; the rest
 * doesn't matter) beside the one that serves, in place of a companion that is there. @share: of the
 * requests, more than 0 and at most 1. 0: @done comes; else a sentence in @why.
 */
int companion_start(struct deployment *d, enum companion_kind kind, double share, const struct rollout *r,
		    companion_done_fn done, void *context, struct buffer *why);

/* Who waits for it to serve has gone. */
void companion_forget(struct deployment *d, const void *context);

/* End it; @because is a clause. Nothing where there is none. */
void companion_end(struct deployment *d, const char *because);

/* How it stands; kind NONE: there is none. */
void companion_get(const struct deployment *d, struct companion_facts *ret);

/* A generation that deploy still has: the one that serves, or the one before. False: neither. Borrowed. */
bool companion_find(const struct deployment *d, uint32_t generation, struct rollout *ret);

/* "canary", "shadow" */
const char *companion_name(enum companion_kind kind);
