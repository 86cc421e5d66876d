/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Proof
 *
 * What a worker that serves nobody is to run on the image that it has loaded, and what came of it.
 * A memfd of its own, made for one LINK_PROVE and gone with its answer.
 *
 * Who writes: the server all of the order, before LINK_PROVE; the worker all of the report, before
 * LINK_PROVED. The worker believes the order. The server copies the report once, bounds it, and
 * believes no more of it than that somebody will read it.
 */

#include <stdint.h>

#include <devserve/deployment.h>

#define PROOF_MAX_CASES 256u
#define PROOF_NAME 128
#define PROOF_SENTENCE 512

enum { PROOF_ACCEPT = 1 }; /* of an order: differences are intended, the answers become the golden ones */

enum proof_outcome {
	PROOF_NOT_RUN,    /* its time was over */
	PROOF_AGREES,
	PROOF_UNCOMPARED, /* it answered; there is nothing to compare with (`why`) */
	PROOF_FOREIGN,    /* what it asks isn't what the image takes any more */
	PROOF_ACCEPTED,   /* it differs, as intended */
	/* and these are at fault: */
	PROOF_DIFFERS,    /* by more than its tolerance */
	PROOF_NAN,        /* NaN where a number was, or an element that nobody wrote */
	PROOF_SHAPE,      /* of an output is another */
	PROOF_REFUSED,    /* infer() returned an error where it answered */
	PROOF_VARIES,     /* the same request, another answer */
	PROOF_UNREADABLE, /* a golden case that is none */
};

/* Of one output; what is < 0 is its datatype's. */
struct proof_tolerance {
	double rtol, atol;
};

struct proof_case {
	uint64_t id;          /* of the recording; 0: a golden case */
	uint64_t offset;      /* of the recording, in their memory */
	uint64_t uncompared;  /* 1: its answer isn't what is wanted any more; it shows crashes and NaN */
	char name[PROOF_NAME]; /* of the golden case's directory */
	struct proof_tolerance tolerances[DEVSERVE_MAX_TENSORS];
};

struct proof_order {
	uint64_t budget_ns;  /* golden cases run in any case; recordings that fit into what is left of it */
	uint32_t n_cases;    /* golden ones first */
	uint32_t flags;
	char recordings[64]; /* path of their memory; "": there are none */
	char golden[4096];   /* directory of the golden cases */
	char accepted[4096]; /* where the answer "out/Y.npy" of "CASE" is written to "CASE/Y.npy", which the server made */
	struct proof_case cases[PROOF_MAX_CASES];
};

/* The first case at fault. */
struct proof_fault {
	uint32_t index; /* of the case; UINT32_MAX: none is */
	uint32_t outcome;
	uint64_t n, n_beyond, n_nan; /* elements of the output; that don't agree; NaN among them */
	double max_abs, max_rel;
	uint64_t max_ulp;
	double error_before, error_after; /* against the reference; both 0: there is none */
	char output[PROOF_NAME], place[96]; /* "[3,17]" */
	char expected[64], got[64];
	char sentence[PROOF_SENTENCE];
};

struct proof_report {
	uint8_t outcomes[PROOF_MAX_CASES];
	uint64_t took_ns;
	double max_abs, max_rel; /* of all that was compared */
	uint64_t max_ulp;
	uint32_t is_stateful;    /* so recordings were run, not compared */
	uint32_t n_forgiven;     /* outputs beyond their tolerance that the reference calls as right as before */
	struct proof_fault fault;
	char sentences[PROOF_MAX_CASES][PROOF_SENTENCE]; /* of those at fault */
};

struct proof {
	struct proof_order order;
	struct proof_report report;
};

/* It may be what was meant. A NaN, or what nobody wrote, is no answer that could be wanted from then on. */
static inline int proof_is_acceptable(uint32_t outcome)
{
	return outcome == PROOF_DIFFERS || outcome == PROOF_SHAPE;
}

static inline int proof_is_at_fault(uint32_t outcome)
{
	return outcome >= PROOF_DIFFERS && outcome <= PROOF_UNREADABLE;
}
