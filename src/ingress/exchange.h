/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Exchange
 *
 * One request and its answer. Lives in the queue of its connection from the request's
 * head until the last byte of the answer is sent. What handlers of routes may do with it
 * is in ingress.h.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "base/buffer.h"
#include "infer/request.h"
#include "ingress/coding.h"
#include "ingress/packing.h"
#include "ingress/response.h"

struct connection;
struct exchange;
struct handle;
struct head;
struct ingress;
struct route;
struct unpack;

#define EXCHANGE_MAX_CONTROL (64 * 1024) /* bytes of a control route's body */
#define EXCHANGE_MAX_STREAM (1024 * 1024)  /* bytes that a stream's client may lag behind */

enum exchange_state {
	EXCHANGE_RECEIVING, /* its body comes */
	EXCHANGE_RUNNING,   /* somebody else has it */
	EXCHANGE_STREAMING,
	EXCHANGE_DONE,      /* the answer is whole */
};

/* What becomes of the body. */
enum sink {
	SINK_DROP,
	SINK_COLLECT, /* into `body` */
	SINK_INFER,   /* into the infer request */
};

/* What is to be done with a request; see route.h. */
struct plan {
	enum sink sink;
	void (*run)(struct exchange *x); /* when the body has come */
	const struct route *route;
	bool token, page, health;

	/* Or why not; 204: it only asked for the methods that are allowed. */
	int status;
	const char *sentence;
	const char *allow;
};

struct exchange {
	struct connection *c;
	STAILQ_ENTRY(exchange) queue;
	SLIST_ENTRY(exchange) pool;

	enum exchange_state state;
	struct plan plan;
	unsigned minor;
	bool head_only;
	bool close;           /* the connection ends with this answer */
	bool expects;         /* the client waits for "100 Continue" before it sends the body */
	bool chunked;         /* the answer */
	struct span origin;   /* of another, allowed, whose page asks; into the options */
	uint64_t received;    /* bytes of the body */
	struct unpack *unpack; /* that it comes through, or NULL */
	uint64_t unpacked;    /* bytes that have become of it */
	bool behind;          /* more of it can be unpacked than has been */

	struct handle *handle; /* counted, or NULL */
	uint32_t generation;
	struct infer_request r;
	bool has_request;     /* r is to be finished */
	bool submitted;       /* to be cancelled */
	bool borrowed;        /* its outputs, from deploy: to be released */

	/* The answer: `out` from `start`, then iov from `iov_at`. */
	struct buffer out, more; /* `more`: what a stream adds meanwhile */
	size_t start;
	size_t counted; /* bytes of it in the connection's `unsent` */
	struct iovec iov[DEVSERVE_MAX_TENSORS];
	int n_iov, iov_at;
	void (*on_sent)(void *context); /* what iov shows isn't read any more; or NULL */
	void *sent_context;
	enum coding coding;   /* that the client wants it in */
	bool must_pack;       /* it takes nothing else */
	struct packing packing;

	/* Control routes. */
	struct buffer path, query, fields, body;
	bool deferred;
	void (*on_gone)(void *context);
	void *gone_context;
};

struct exchange *exchange_new(struct connection *c);

/* Gives back all that it holds. Tells whoever runs it that the client has gone. */
void exchange_free(struct exchange *x);

/* Free the memory of one that lies in the pool. */
void exchange_discard(struct exchange *x);

/* Copy what a route's handler may ask for. */
void exchange_keep(struct exchange *x, const struct head *h);

/*
 * The answer's body is appended to the buffer that _begin() returns; then _send() puts the
 * head before it. `iov`, where set, follows. _send() fills what @r doesn't say of the
 * exchange itself.
 */
struct buffer *exchange_begin(struct exchange *x);
void exchange_send(struct exchange *x, struct response *r);

/* What was borrowed, outputs of deploy's or a handler's parts, isn't read any more. */
void exchange_release_outputs(struct exchange *x);

/* Empty @b, and free what is more than an exchange should keep. */
void exchange_recycle(struct buffer *b);

/* {"error": @sentence} */
void exchange_refuse(struct exchange *x, int status, const char *sentence);

/* 204, with the methods of its plan. */
void exchange_allow(struct exchange *x);

/* The server ends a stream; its handler is told. */
void exchange_hang_up(struct exchange *x);

/* An answer before the answer: "100 Continue". */
void exchange_interim(struct exchange *x);

/* Bytes that wait to be sent. */
size_t exchange_unsent(const struct exchange *x);
