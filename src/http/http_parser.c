/* SPDX-License-Identifier: MIT */

/*
 * Of a request it takes the head apart and only the head: on_headers_complete says "no body",
 * so the parser is done where the head ends, and is made anew for the next request. (It could be
 * paused there instead; paused it doesn't consume the last line feed.)
 *
 * The head is contiguous, so each callback comes once with the whole text.
 */

#include "http/parser.h"

#include <errno.h>
#include <http_parser.h>
#include <stdlib.h>

#include "base/memory.h"

struct reading {
	const struct head_events *events;
	void *context;
	bool whole;
};

static int on_target(http_parser *p, const char *at, size_t size)
{
	struct reading *r = p->data;

	return r->events->on_target(r->context, at, size);
}

static int on_field(http_parser *p, const char *at, size_t size)
{
	struct reading *r = p->data;

	return r->events->on_field(r->context, at, size);
}

static int on_value(http_parser *p, const char *at, size_t size)
{
	struct reading *r = p->data;

	return r->events->on_value(r->context, at, size);
}

static int on_headers_complete(http_parser *p)
{
	struct reading *r = p->data;

	r->whole = true;
	return 1;
}

static const http_parser_settings head_settings = {
	.on_url = on_target,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_headers_complete,
};

static int outcome(enum http_errno e, bool whole, const char **ret_why)
{
	switch (e) {
	case HPE_OK:
		*ret_why = "The request is malformed.";
		return whole ? HEAD_READ : HEAD_MALFORMED;
	case HPE_INVALID_METHOD:
		return HEAD_METHOD_UNKNOWN;
	case HPE_CB_url:
	case HPE_INVALID_URL:
		return HEAD_TARGET_BAD;
	case HPE_CB_header_value:
		return HEAD_VALUE_REFUSED;
	default:
		*ret_why = http_errno_description(e);
		return HEAD_MALFORMED;
	}
}

int parser_read_head(const char *bytes, size_t size, const struct head_events *events, void *context,
		     enum method *ret, const char **ret_why)
{
	struct reading r = { .events = events, .context = context };
	http_parser p;
	size_t n;

	*ret = METHOD_OTHER;
	http_parser_init(&p, HTTP_REQUEST);
	p.data = &r;
	n = http_parser_execute(&p, &head_settings, bytes, size);
	if (HTTP_PARSER_ERRNO(&p) != HPE_INVALID_METHOD)
		*ret = method_of(http_method_str(p.method));
	return outcome(HTTP_PARSER_ERRNO(&p), r.whole && n == size, ret_why);
}

/* Answers */

struct answer_parser {
	const struct answer_events *events;
	void *context;
	http_parser parser;
};

static int on_body(http_parser *p, const char *bytes, size_t size)
{
	struct answer_parser *a = p->data;

	return a->events->on_body(a->context, bytes, size);
}

static int on_complete(http_parser *p)
{
	struct answer_parser *a = p->data;

	a->events->on_complete(a->context);
	return 0;
}

static int on_answer_field(http_parser *p, const char *at, size_t size)
{
	struct answer_parser *a = p->data;

	if (a->events->on_field)
		a->events->on_field(a->context, at, size);
	return 0;
}

static int on_answer_value(http_parser *p, const char *at, size_t size)
{
	struct answer_parser *a = p->data;

	if (a->events->on_value)
		a->events->on_value(a->context, at, size);
	return 0;
}

static const http_parser_settings answer_settings = {
	.on_header_field = on_answer_field,
	.on_header_value = on_answer_value,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

struct answer_parser *answer_parser_new(const struct answer_events *events, void *context)
{
	struct answer_parser *a = xcalloc(1, sizeof(*a));

	a->events = events;
	a->context = context;
	http_parser_init(&a->parser, HTTP_RESPONSE);
	a->parser.data = a;
	return a;
}

struct answer_parser *answer_parser_free(struct answer_parser *a)
{
	free(a);
	return NULL;
}

int answer_parser_take(struct answer_parser *a, const char *bytes, size_t size)
{
	http_parser_execute(&a->parser, &answer_settings, bytes, size);
	return HTTP_PARSER_ERRNO(&a->parser) == HPE_OK ? 0 : -EBADMSG;
}

unsigned answer_parser_status(const struct answer_parser *a)
{
	return a->parser.status_code;
}
