/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Patience
 *
 * How long a connection may take for what. All limits of time are here.
 */

#include <stdbool.h>
#include <stdint.h>

struct connection;

/* Time limits, and the least that a body or an answer must move, counted from its first byte. */
struct patience {
	unsigned head_ms;  /* from the first byte of a head to its last */
	unsigned body_ms;  /* without a byte of the body */
	unsigned send_ms;  /* without a byte of the answer taken */
	unsigned idle_ms;  /* between two requests */
	unsigned min_rate; /* bytes a second, once twice body_ms or send_ms has passed; 0: any */
};

/* Of one direction of a connection. */
struct pace {
	uint64_t begun_ms; /* what moves now: a head, a body, an answer that the kernel didn't take whole */
	uint64_t since_ms; /* when it moved last */
	uint64_t moved;    /* bytes of it */
};

/* What comes from the client, or what is to come, begins; bytes of it have come. */
void patience_begin(struct connection *c);
void patience_came(struct connection *c, uint64_t bytes);

/* A write begins that isn't done at once. */
void patience_begin_write(struct connection *c);

/* Called each second. May close @c, or answer 408. */
void patience_tick(struct connection *c, uint64_t now_ms);

/* Whether @c gives way to a client for which there is no place: it has done nothing for a second. */
bool patience_yields(const struct connection *c, uint64_t now_ms);
