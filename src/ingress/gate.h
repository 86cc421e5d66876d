/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Gate
 *
 * Every raw byte of a request's head passes here before anything interprets it. The
 * parser behind lets through what smuggles requests (bare line feeds, folded lines,
 * control bytes, a second length); here is one answer for each: refuse and close.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GATE_MAX_LINE 8192  /* the request line, CRLF included */
#define GATE_MAX_HEAD 16384 /* all header fields */
#define GATE_MAX_FIELDS 100

enum {
	GATE_MORE, /* so far good; the head isn't whole */
	GATE_WHOLE,
	/* else an HTTP status */
};

struct gate {
	size_t at;       /* start of the first line that isn't judged; GATE_WHOLE: the head's size */
	size_t seen;     /* bytes already searched for a line's end */
	size_t start;    /* of the request line, after empty lines */
	size_t fields;   /* where the header fields begin; 0: the request line isn't judged */
	unsigned n_fields;
	unsigned minor;  /* HTTP/1.minor */
	bool is_head;    /* a refusal has no body either */
	bool has_host, has_length, chunked;
	bool close, keep_alive; /* what Connection says */
	uint64_t length; /* Content-Length */
};

#define GATE_NULL { .at = 0 }

/*
 * Judge @bytes, the @size bytes known of the head so far, from its first. Called again
 * with more after GATE_MORE; what was judged is not looked at again. For a status (400,
 * 414, 431, 505) *@ret_why is a static sentence.
 */
int gate_head(struct gate *g, const char *bytes, size_t size, const char **ret_why);
