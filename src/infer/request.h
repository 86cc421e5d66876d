/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Request
 *
 * One inference, free of any transport: what came in, what goes out. Three hands
 * touch it, one after the other, all on the loop's thread:
 *
 *	1. ingress fills it: infer_request_init(), _body(), then _room() and _filled() until
 *	   the body is there, _end();
 *	2. deploy runs it: handle_submit() → `outputs` or `status` and `error`;
 *	3. ingress sends what infer_response_encode() made, then infer_request_fini().
 *
 * The body is the JSON of the protocol, followed by the raw bytes of binary tensors
 * where `json_size` says so (Triton's binary_data extension). Raw bytes are received
 * where the kernel will read them: _room() points into the deployment's arena,
 * 64-byte aligned, and never reaches past the tensor that is being received.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/buffer.h"
#include "infer/status.h"
#include "infer/tensor.h"

struct infer_memory;
struct signature;

#define INFER_MAX_ID 1024 /* bytes of a request's id; longer ones are INVALID */
#define INFER_BODY_UNKNOWN UINT64_MAX

struct infer_request {
	/* What came in. */
	const char *name;            /* of the deployment, for sentences; borrowed */
	uint64_t max_body;           /* bytes that a body may have, or 0: any; ingress sets it */
	struct signature *signature; /* counted */
	char *id;                    /* or NULL; followed by a NUL, may hold others */
	size_t id_size;
	uint64_t timeout_us;         /* that its client lets it wait before it is begun; 0: any time */
	uint32_t batch;              /* 1 where the deployment doesn't batch */
	uint32_t n_inputs;           /* those of the signature, in its order */
	uint32_t n_wanted;
	uint32_t n_outputs;          /* 0 until deploy has them all */

	/* What goes out, beside `outputs`. */
	enum infer_status status;
	struct buffer error;  /* the sentence for the client when status isn't OK */
	uint32_t generation;  /* that computed it, or that serves; 0: none yet */
	uint64_t compute_ns;  /* infer() itself, of the whole batch it was part of */
	uint64_t queue_ns;

	/* The decoder's. */
	struct infer_memory *memory; /* borrowed */
	uint64_t block;              /* of `memory`; inputs lie in it */
	bool has_block;
	bool raw;             /* json_size 0: the body is the only input's bytes */
	bool decoded;         /* inputs have shape, size and memory */
	uint64_t body_size, json_size, received;
	struct buffer json;   /* the JSON; then, once it was read, the id */
	size_t charged;       /* bytes of JSON that `memory` counts for us */
	uint32_t n_binary;
	uint32_t receiving;   /* index of the binary tensor whose bytes come next */
	uint64_t receiving_at;

	/* deploy's, from handle_submit() until `done`. */
	void *deploy;

	/* Everything above is cleared by infer_request_init(), nothing below is. */
	void (*done)(struct infer_request *r); /* ingress sets it, deploy calls it */
	void *owner; /* ingress's */

	struct tensor inputs[DEVSERVE_MAX_TENSORS];
	/* Which outputs are wanted, in which order and form. */
	struct {
		uint32_t port;
		bool binary;
	} wanted[DEVSERVE_MAX_TENSORS];
	/* All the signature's outputs, in its order, borrowed from deploy. */
	struct tensor outputs[DEVSERVE_MAX_TENSORS];
	/* Binary tensors in the order of the body. */
	struct {
		uint32_t input;
		uint64_t size;
	} binary[DEVSERVE_MAX_TENSORS];
};

/*
 * Takes a reference of @s, borrows @name. @r may be fresh memory. Cheap: a connection keeps
 * one and uses it again and again; small buffers are kept for the next request of the thread.
 */
void infer_request_init(struct infer_request *r, const char *name, struct signature *s,
			struct infer_memory *memory);

/*
 * Releases everything, also of a request that is half received. May be called twice, and on
 * one that is all zero.
 */
void infer_request_fini(struct infer_request *r);

/*
 * The body is about to come: @body_size bytes, or INFER_BODY_UNKNOWN (chunked). The first
 * @json_size of them are JSON; INFER_BODY_UNKNOWN: all (no Inference-Header-Content-Length
 * came); 0: none, a raw request. Neither is an empty body JSON: it is an empty raw request.
 * 0, or a positive enum infer_status with the sentence in r->error; so do the next three.
 */
int infer_request_body(struct infer_request *r, uint64_t body_size, uint64_t json_size);

/*
 * Where the next bytes of the body belong: *@ret_base, at most *@ret_size of them
 * (never 0 while the body is not complete). The caller puts n bytes there and calls
 * _filled(n), which looks at the JSON as soon as it is whole, checks it against the
 * signature and reserves the inputs' memory. After a refusal bytes may still be put; they
 * are thrown away, and the status is told again.
 */
void infer_request_room(struct infer_request *r, void **ret_base, size_t *ret_size);
int infer_request_filled(struct infer_request *r, size_t n);

/* The body has ended. Afterwards `inputs`, `batch` and `wanted` are complete and true. */
int infer_request_end(struct infer_request *r);

/*
 * JSON takes @size bytes now: text, and what reading it needs. Small ones aren't counted. 0, or
 * refused as what doesn't fit into the budget.
 */
#define INFER_UNCOUNTED (64 * 1024)
int infer_request_recharge(struct infer_request *r, size_t size);
/* The same, without a refusal: 0, or -ENOMEM or -EFBIG, and nothing is charged. */
int infer_request_try_charge(struct infer_request *r, size_t size);
static inline int infer_request_charge(struct infer_request *r, size_t size)
{
	return size > INFER_UNCOUNTED || r->charged ? infer_request_recharge(r, size) : 0;
}

/* Set status and sentence; the first of several stays. Returns the status that stays. */
int infer_request_refuse(struct infer_request *r, enum infer_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * The answer's body: JSON appended to @json, then @ret_n parts of raw tensors in @iov
 * (room for DEVSERVE_MAX_TENSORS; they point into r->outputs). *@ret_binary: at least one
 * output is binary: then @json's size goes into Inference-Header-Content-Length. What
 * cannot be said in JSON (NaN, BYTES that aren't UTF-8) sets status and error instead.
 * For an error the body is {"error": "…"}, and the status is returned.
 */
int infer_response_encode(struct infer_request *r, const char *name, struct buffer *json,
			  struct iovec *iov, int *ret_n, bool *ret_binary);
void infer_error_encode(const char *sentence, size_t size, struct buffer *json);
