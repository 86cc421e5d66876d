/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Response heads
 *
 * Made by copying prepared text: a server that answers 100,000 times a second has no
 * time to print.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ingress/target.h"

/* Room for any head that response_head() makes. */
#define RESPONSE_MAX_HEAD 1536
#define RESPONSE_NONE UINT64_MAX
#define RESPONSE_CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

/* What is the same in all answers of a second. */
struct preamble {
	uint64_t made_ms; /* by the loop's clock; 0: never */
	size_t size;
	char text[512];
};

void preamble_refresh(struct preamble *p, uint64_t now_ms);

struct response {
	int status;
	const char *type;     /* or NULL: no body */
	uint64_t length;      /* of the body; RESPONSE_NONE: not known */
	uint64_t json_size;   /* Inference-Header-Content-Length, or RESPONSE_NONE */
	uint32_t generation;  /* or 0 */
	const char *stale;    /* or NULL */
	const char *allow;    /* or NULL: the methods, for 405 and for OPTIONS */
	struct span origin;   /* of another, allowed: its page may read this. at NULL: none */
	const char *coding;   /* that the body is packed in, or NULL */
	bool packable;        /* another client's might be packed otherwise */
	bool vary;            /* another origin's answer may differ */
	bool retry;           /* Retry-After: 1 */
	bool no_store;        /* no cache may keep it */
	unsigned minor;       /* what the client speaks */
	bool close;
	bool chunked;
};

#define RESPONSE_NULL { .json_size = RESPONSE_NONE, .minor = 1 }

/* Write it to @to, which has RESPONSE_MAX_HEAD bytes; returns its size. */
size_t response_head(const struct response *r, const struct preamble *p, char *to);
