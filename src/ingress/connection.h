/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Connection
 *
 * A client's TCP connection: reads requests, keeps their answers in order, writes them.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uv.h>

#include "base/buffer.h"
#include "ingress/chunk.h"
#include "ingress/gate.h"
#include "ingress/patience.h"

struct exchange;
struct handle;
struct ingress;

/* Where the next byte belongs. */
enum connection_state {
	CONNECTION_HEAD,
	CONNECTION_BODY,    /* `body_left` bytes */
	CONNECTION_CHUNKED,
	CONNECTION_DEAF,    /* nowhere: it is closed once all is answered */
};

struct connection {
	uv_tcp_t tcp; /* first: handles are cast */
	struct ingress *in;
	TAILQ_ENTRY(connection) siblings;
	TAILQ_ENTRY(connection) due;

	enum connection_state state;
	struct gate gate;
	struct chunk chunk;
	uint64_t body_left;
	uint64_t dropped;      /* bytes of a body that nobody wants */
	struct buffer pending; /* read, not yet understood */
	struct exchange *receiving; /* whose body comes; NULL: nobody's */
	struct handle *handle; /* the last one that was asked for; counted */

	STAILQ_HEAD(, exchange) queue; /* in the order of the requests */
	unsigned n_exchanges;
	unsigned handled;      /* requests, in this turn of the loop */
	unsigned unpacked;     /* bytes of bodies, likewise */
	uint64_t unsent;       /* bytes of finished answers */

	uv_write_t write;
	bool writing;
	size_t write_size;     /* of what is being written */
	uint64_t untaken;      /* bytes of answers that the client hasn't got, as the last tick saw it */

	bool reading;
	bool direct;    /* libuv reads to where the body belongs */
	bool paused;    /* not read on: enough is pending */
	bool guest;     /* beyond --max-connections */
	bool last;      /* no request after this one */
	bool busy;      /* inside one of our callbacks: settled when that ends */
	bool is_due;
	bool ended;     /* the client sends no more */
	bool unread;    /* it may be sending what we don't read */
	bool broken;    /* close, at the next good moment */
	bool lingering; /* all said; wait for its end */
	bool closed;
	struct pace coming, going;
	uint64_t probe_ms; /* after its end: when to see whether anybody is there */
};

/* Take the connection that waits at @listener. 0 or -errno. */
int connection_accept(struct ingress *in, uv_stream_t *listener);

/* At once: what runs for it is cancelled. */
void connection_close(struct connection *c);

/* The same, and what the kernel still had to send is lost: for a client that takes nothing. */
void connection_reset(struct connection *c);

/* No new requests; closed when what is under way is answered. */
void connection_drain(struct connection *c);

/* In the next turn of the loop, when it is due. May close it. */
void connection_turn(struct connection *c);

/* @x, one of its exchanges, has bytes to send, or has become complete. @now: rather at once. */
void connection_answered(struct connection *c, bool now);

/* The end of each of our callbacks: write what can be written, close what is to be closed. */
void connection_settle(struct connection *c);
