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
	uint64_t unsent;       /* bytes of finished answers */

	uv_write_t write;
	bool writing;
	size_t write_size;     /* of what is being written */
	size_t write_left;     /* as the last tick saw it */

	bool reading;
	bool direct;    /* libuv reads to where the body belongs */
	bool paused;    /* not read on: enough is pending */
	bool last;      /* no request after this one */
	bool busy;      /* inside one of our callbacks: settled when that ends */
	bool is_due;
	bool ended;     /* the client sends no more */
	bool unread;    /* it may be sending what we don't read */
	bool broken;    /* close, at the next good moment */
	bool lingering; /* all said; wait for its end */
	bool closed;
	uint64_t since_ms; /* last progress: of the head's first byte, of the body, … */
	uint64_t linger_ms;
};

/* Take the connection that waits at @listener. 0 or -errno. */
int connection_accept(struct ingress *in, uv_stream_t *listener);

/* At once: what runs for it is cancelled. */
void connection_close(struct connection *c);

/* Nothing is under way: a candidate to be closed. */
bool connection_is_idle(const struct connection *c);

/* No new requests; closed when what is under way is answered. */
void connection_drain(struct connection *c);

/* Called by the ingress each second. May close it. */
void connection_tick(struct connection *c, uint64_t now_ms);

/* In the next turn of the loop, when it is due. May close it. */
void connection_turn(struct connection *c);

/* @x, one of its exchanges, has bytes to send, or has become complete. @now: rather at once. */
void connection_answered(struct connection *c, bool now);

/* Something came or went: its time limits count from now. */
void connection_progress(struct connection *c);

/* The end of each of our callbacks: write what can be written, close what is to be closed. */
void connection_settle(struct connection *c);
