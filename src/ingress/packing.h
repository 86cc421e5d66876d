/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Packing
 *
 * An answer that is packed before it is sent: because its client wants that, and only where
 * it makes it smaller.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "ingress/response.h"

struct exchange;
struct ingress;
struct pack;

TAILQ_HEAD(packings, exchange);

struct packing {
	TAILQ_ENTRY(exchange) entry;
	struct packings *list;   /* it is in, or NULL */
	struct pack *pack;
	struct response answer;
	struct buffer out;
	int at;                  /* 0: in the JSON; else in iov[at - 1] */
	size_t offset;
	size_t taken;            /* bytes of the answer */
};

/* Those of all connections. */
struct packing_queue {
	struct packings active, waiting;
	unsigned n_active;
};

void packing_queue_init(struct packing_queue *q);

/* The answer @r of @x is in `out` and `iov`: send it, packed if that is wanted; at once if it is small. */
void packing_send(struct exchange *x, const struct response *r);

/* The client has gone. */
void packing_stop(struct exchange *x);

/* In a turn of the loop: go on with one. Returns whether there is more to do. */
bool packing_turn(struct ingress *in);
