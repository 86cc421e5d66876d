/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Coders
 *
 * Packers and unpackers that rest between two bodies, so that one in steady state allocates
 * nothing.
 */

#include "ingress/coding.h"

#define CODERS_KEPT 8 /* of each kind; what is beyond is freed */

struct pack;
struct unpack;

struct coders {
	struct unpack *unpackers[CODERS_KEPT];
	struct pack *packers[CODERS_KEPT];
	unsigned n_unpackers, n_packers;
	int level; /* zlib's, of all packers */
};

void coders_fini(struct coders *c);

/* NULL: there is no memory. */
struct unpack *coders_take_unpack(struct coders *c, enum coding coding);
struct pack *coders_take_pack(struct coders *c, enum coding coding);

/* Both accept NULL. */
struct unpack *coders_give_unpack(struct coders *c, struct unpack *u);
struct pack *coders_give_pack(struct coders *c, struct pack *p);
