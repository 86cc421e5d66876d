/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Proof
 *
 * What came of running golden cases and recorded requests on an image in its trial.
 */

#include <stdbool.h>
#include <stdint.h>

#include "compare/compare.h"
#include "ring/proof.h"

struct buffer;
struct deployment;
struct golden_cases;
struct proving;
struct replica;
struct signature;

struct proof_summary {
	unsigned n_golden, n_recordings; /* that ran */
	unsigned n_left_out;   /* recordings that there was no time for */
	unsigned n_foreign;    /* for another signature than the image has */
	unsigned n_uncompared; /* ran, with nothing to compare with */
	unsigned n_accepted, n_faults;
	unsigned n_forgiven;   /* outputs that differ, and are as right as before by the reference */
	bool stateful;         /* recordings ran on a copy of the state, and weren't compared */
	double max_abs, max_rel; /* of all numbers that were compared */
	uint64_t max_ulp;
	uint64_t took_ns;
	/* The first that is at fault: */
	uint64_t recording;    /* its id, 0: none, or */
	char golden[PROOF_NAME]; /* the name of the golden case */
	bool other_weights;    /* that may be why: it was recorded with those */
	char request[256];     /* "X FP32[3], Y FP32[3]" */
	uint64_t replay;       /* number under which it is kept (serve/cases.h); 0: it isn't */
	bool acceptable;       /* it answers otherwise, which may be what was meant */
	struct proof_fault fault;
};

/* Of the rest of deploy/: what is to be proved. */
struct proof_plan {
	const struct signature *signature; /* of the image */
	struct golden_cases *golden;       /* or NULL */
	bool recordings, accept;
	const char *accepted;              /* where answers to golden cases are written that are meant to differ; or NULL */
	bool uncompared; /* other weights give other answers: recordings show crashes and NaN */
	struct tolerance tolerance; /* of floating outputs; < 0: by datatype */
	uint64_t budget_ns;
};

/*
 * @r has the image loaded. 0 with *@ret under way, or NULL: there is nothing to run; or -errno: there is no
 * memory to share with @r, and nothing is proved. What is borrowed stays until proving_end().
 */
int proving_start(struct deployment *d, const struct proof_plan *plan, struct replica *r, struct proving **ret);
struct proving *proving_end(struct proving *p); /* NULL is fine. Returns NULL. */

/* Tell of each golden case; those that the worker didn't come to failed as well. */
void proving_tell(const struct proving *p);

/* The worker has answered. */
void proving_read(const struct proving *p, struct proof_summary *ret);

/*
 * The case that @running says is under way: in @ret which one, and in @what "request 12 (X FP32[3])" or
 * "golden case \"odd\"". False: none is.
 */
bool proving_at(const struct proving *p, uint32_t running, struct proof_summary *ret, struct buffer *what);
/* How long that case may take, and what it took when it was recorded (0: not known). */
uint64_t proving_patience_ns(const struct proving *p, uint32_t running, uint64_t *ret_took_ns);

/* Why @s is a reason not to serve; a sentence. */
void proof_describe(const struct proof_summary *s, struct buffer *ret);
