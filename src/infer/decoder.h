/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Decoder
 *
 * One request's JSON while it is being read: shared by the decode_*.c, each of which reads one
 * noun of it. Every sentence about a value ends with its place: "(at inputs[1].shape[0])".
 */

#include "infer/json_parse.h"
#include "infer/request.h"

struct signature_port;

struct decoder {
	struct infer_request *r;
	const struct signature *s;
	const char *id;
	size_t id_size;
	bool binary_output;                     /* what outputs are that don't say */
	uint32_t seen;                          /* bit i: input i of the signature */
	struct node data[DEVSERVE_MAX_TENSORS]; /* of input i; absent where it is binary */
	uint64_t order[DEVSERVE_MAX_TENSORS];   /* of input i: its index in the request */

	/* Where reading is: list[index], or the request itself while list is NULL. */
	const char *list;
	uint64_t index;
	struct node_place within; /* the member that a sentence is about */
};

_Static_assert(DEVSERVE_MAX_TENSORS <= 32, "bits of decoder.seen");

/* Refuse for @member ("shape", "parameters.x"; NULL: for what list[index] is) and say where. */
#define decoder_refuse(d, member, ...) \
	(infer_request_refuse((d)->r, INFER_INVALID, __VA_ARGS__), decoder_tell_place(d, member))

/* Append the place to the sentence. Returns the status. */
int decoder_tell_place(struct decoder *d, const char *member);

/* "attempt to access JSON non-string as string" */
int decoder_wrong_kind(struct decoder *d, const char *member, const char *kind);

/* node_pick(); a key that comes twice is refused. */
int decoder_pick(struct decoder *d, struct node n, const struct node_key *keys, size_t n_keys,
		 struct node *ret);

/* Check all the parameters in @n, which may be absent, and pick some. */
int decoder_parameters(struct decoder *d, struct node n, const struct node_key *keys,
		       size_t n_keys, struct node *ret);
int decoder_refuse_shared_memory(struct decoder *d);

/* What somebody else chose, fit for a sentence: capped, control characters escaped. */
#define DECODER_ECHO 64
struct echo {
	char text[DECODER_ECHO + sizeof("\\u0000…")];
};
struct echo decoder_echo(const char *s, size_t size);

/* @name may hold NULs, @string ends with one. */
bool decoder_is(const char *string, const char *name, size_t size);
int32_t decoder_find_port(const struct signature_port *ports, uint32_t n, const char *name,
			  size_t size);

/* The nouns. 0, or a positive enum infer_status with the sentence in r->error. */

/* t->shape, t->rank and t->size (of BYTES: the least), checked against the declaration. */
int decode_shape(struct decoder *d, struct node n, struct tensor *t);

int decode_inputs(struct decoder *d, struct node n);

/* Their memory is there: fill those whose data is JSON. */
int decode_fill(struct decoder *d);

int decode_outputs(struct decoder *d, struct node n);
