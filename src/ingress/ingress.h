/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Ingress
 *
 * Listeners and HTTP/1.1: bytes <-> infer requests. Inference routes are its own
 * (ingress/v2.c); everything else is a table of routes that serve/ hands in.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <uv.h>

#include "ingress/patience.h"

struct buffer;
struct deploy;
struct exchange;
struct ingress;

/* A control or page route. @path is exact, or a prefix where it ends with '/'. */
struct route {
	const char *method; /* "GET" answers HEAD too */
	const char *path;
	bool token;         /* needs the token (Authorization: Bearer …); below "/-/" all do */
	void (*handle)(void *context, struct exchange *x);
	void *context;
};

#define INGRESS_MAX_GUESTS 64

struct ingress_options {
	const char *host;        /* NULL: 127.0.0.1 and [::1]; else an address or a name */
	unsigned port;           /* 0: the kernel picks one, the same for both families */
	uint64_t max_body;       /* bytes; 413 above */
	unsigned max_connections; /* beyond, INGRESS_MAX_GUESTS hear of health, and 503 else */
	struct patience patience;
	unsigned compression;    /* zlib's level for answers to clients that want them packed; 0: never */
	const char *token;       /* for routes that need it; for everything but health beyond loopback */
	const char *allow_host;  /* names that it is called by beside its own, separated by commas */
	const char *allow_origin; /* origins whose pages may use it; NULL: only its own */
	const char *version;     /* server metadata */
	const struct route *routes; /* ends with a NULL path; borrowed */
	/* Whether every first build has ended: /v2/health/ready. */
	bool (*ready)(void *context);
	void *context;
};

/* 0, or -errno with a sentence and a hint in @why (port busy: by whom, where it can be known). */
int ingress_start(uv_loop_t *loop, struct deploy *deploy, const struct ingress_options *o,
		  struct buffer *why, struct ingress **ret);

/* "http://127.0.0.1:8000" */
const char *ingress_url(const struct ingress *in);

/* Nobody but this machine can connect. */
bool ingress_is_loopback(const struct ingress *in);

/*
 * Stop accepting; let what is under way finish; then call @done. A second call ends all at
 * once. Idle connections are closed immediately, streams are ended. @in is gone when @done
 * comes.
 */
void ingress_stop(struct ingress *in, void (*done)(void *context), void *context);

/* What a route's handler sees of a request. Strings live until the exchange ends. */
const char *exchange_path(const struct exchange *x);              /* decoded, without query */
const char *exchange_query(const struct exchange *x, const char *key); /* decoded, or NULL */
const char *exchange_header(const struct exchange *x, const char *name);
const char *exchange_body(const struct exchange *x, size_t *ret_size);

/* Answer; once. @type e.g. "application/json". */
void exchange_respond(struct exchange *x, int status, const char *type, const void *body, size_t size);

/*
 * The same, with @parts behind @body, which aren't copied: they stay as they are until @sent comes, once,
 * when they have been sent or are not wanted any more. It may come before this returns.
 */
void exchange_respond_with(struct exchange *x, int status, const char *type, const struct buffer *body,
			   const struct iovec *parts, int n, void (*sent)(void *context), void *context);

/*
 * Or answer later: keep @x; on_gone is called if the client leaves, or closes his side,
 * before exchange_respond() (@x is then invalid).
 */
void exchange_defer(struct exchange *x, void (*on_gone)(void *context), void *context);

/*
 * Or stream (server-sent events): headers go out at once, then each piece; on_gone when the
 * client leaves or is too slow (more than 1 MiB waits): no write after that.
 */
void exchange_stream(struct exchange *x, const char *type, void (*on_gone)(void *context),
		     void *context);
void exchange_write(struct exchange *x, const void *bytes, size_t size);
void exchange_end(struct exchange *x);
