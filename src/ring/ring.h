/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Ring
 *
 * Messages from one writer to one reader through memory that two processes share. The
 * ring holds fixed-size messages and two free-running counters; offsets, never pointers.
 *
 * Who may write what: `tail` and the entries in front of it, the writer; `head`, the
 * reader; nobody else anything. Each side keeps its own counter in its private struct ring
 * and never reads it back, so that a peer that scribbles over the shared one can confuse
 * itself alone. Of the peer's counter only a fill level between 0 and RING_SIZE is
 * believed; anything else is -EPROTO and the peer is not to be talked to any more.
 *
 * Ordering: entries are written before `tail` is stored with release; the reader loads
 * `tail` with acquire before it reads them, and stores `head` with release after.
 */

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define RING_SIZE 256u /* messages; a power of two */

struct message {
	uint32_t kind; /* enum link_message */
	uint32_t slot; /* which call, in the server's table */
	uint64_t offset;
	uint64_t size;
	uint64_t extra;
};

struct ring_shared {
	alignas(64) _Atomic uint32_t head;
	alignas(64) _Atomic uint32_t tail;
	alignas(64) struct message entries[RING_SIZE];
};

_Static_assert(sizeof(struct message) == 32, "layout of the ring");
_Static_assert(sizeof(struct ring_shared) == 128 + 32 * RING_SIZE, "layout of the ring");

struct ring {
	struct ring_shared *shared;
	uint32_t mine; /* our counter: tail of the writer, head of the reader */
};

/* @shared is zeroed, fresh memory. */
void ring_init(struct ring *r, struct ring_shared *shared);

/*
 * Writer. ring_put() writes the entry, ring_publish() shows all that were put.
 * 0, -EAGAIN when full, -EPROTO.
 */
int ring_put(struct ring *r, const struct message *m);
void ring_publish(struct ring *r);
bool ring_unpublished(const struct ring *r);

/* Reader. 1 and a copy in @ret, 0 when empty, -EPROTO. ring_consume() frees what was taken. */
int ring_take(struct ring *r, struct message *ret);
void ring_consume(struct ring *r);

/* Whether there is something to take (or the peer is broken), by a fresh look. */
bool ring_readable(const struct ring *r);
