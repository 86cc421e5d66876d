/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * HTTP parser
 *
 * What devserve needs of a library that takes HTTP/1 apart. There are two, and one of
 * http_parser.c and llhttp.c is compiled: llhttp, which succeeded http_parser, where it is
 * there (Debian 13), else http_parser (Debian 12). The Makefile looks for the header.
 *
 * Texts that callbacks get lie in the bytes that were given.
 */

#include <stdbool.h>
#include <stddef.h>

#include "http/method.h"

/* The head of a request */

struct head_events {
	/* Each with a whole text; not 0 ends the parsing. A value may have blanks at its end. */
	int (*on_target)(void *context, const char *at, size_t size);
	int (*on_field)(void *context, const char *at, size_t size);
	int (*on_value)(void *context, const char *at, size_t size);
};

enum {
	HEAD_READ,
	HEAD_METHOD_UNKNOWN,
	HEAD_TARGET_BAD,    /* or on_target() refused it */
	HEAD_VALUE_REFUSED, /* by on_value() */
	HEAD_MALFORMED,     /* with a static sentence */
};

/*
 * @bytes is the head to its empty line and nothing else. *@ret is always written; METHOD_OTHER
 * also where it didn't get so far.
 */
int parser_read_head(const char *bytes, size_t size, const struct head_events *events, void *context,
		     enum method *ret, const char **ret_why);

/* An answer, piece by piece as it comes */

struct answer_events {
	int (*on_body)(void *context, const char *bytes, size_t size); /* not 0 ends the parsing */
	void (*on_complete)(void *context);
	/* A piece of a header's name, of its value; or NULL. */
	void (*on_field)(void *context, const char *at, size_t size);
	void (*on_value)(void *context, const char *at, size_t size);
};

struct answer_parser;

struct answer_parser *answer_parser_new(const struct answer_events *events, void *context); /* borrowed */
struct answer_parser *answer_parser_free(struct answer_parser *p);

/* No bytes: the connection has ended. 0; or -EBADMSG: that is no HTTP, or a callback ended it. */
int answer_parser_take(struct answer_parser *p, const char *bytes, size_t size);

unsigned answer_parser_status(const struct answer_parser *p); /* 0: not known yet */
