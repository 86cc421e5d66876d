/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Listener
 *
 * What all connections of a server share. The interface for others is ingress.h.
 */

#include <stdbool.h>
#include <sys/queue.h>
#include <uv.h>

#include "base/buffer.h"
#include "ingress/authorize.h"
#include "ingress/coders.h"
#include "ingress/http1.h"
#include "ingress/ingress.h"
#include "ingress/packing.h"
#include "ingress/response.h"

#define INGRESS_MAX_LISTENERS 8
#define INGRESS_READ_SIZE 65536
#define INGRESS_POOL 256 /* exchanges kept for reuse */

TAILQ_HEAD(connections, connection);

struct ingress {
	uv_loop_t *loop;
	struct deploy *deploy;
	struct ingress_options options; /* its strings are copies */
	struct authority authority;
	char *url;

	uv_tcp_t listeners[INGRESS_MAX_LISTENERS];
	unsigned n_listeners;
	unsigned waiting; /* bit i: listener i has a connection there is no room for */
	uv_timer_t tick;  /* once a second while there are connections */
	uv_idle_t later;  /* active while `due` or `packing` isn't empty */
	unsigned n_handles;

	struct connections connections;
	struct connections due; /* to be looked at in the next turn of the loop */
	unsigned n_connections;

	struct packing_queue packing; /* likewise */
	struct coders coders;

	SLIST_HEAD(, exchange) pool;
	unsigned n_pool;

	bool stopping;
	void (*done)(void *context);
	void *done_context;

	/* Scratch: nothing here outlives a callback of the loop. */
	struct preamble preamble;
	struct head head;
	struct buffer name, sentence;
	char bytes[INGRESS_READ_SIZE];
};

/* Close the connection that has asked nothing for longest, if that is a second. */
void ingress_make_place(struct ingress *in);

/* `due` is not empty any more. */
void ingress_wake(struct ingress *in);

/* A connection has been closed for good. */
void ingress_forget(struct ingress *in);
