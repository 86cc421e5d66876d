/* SPDX-License-Identifier: MIT */

/*
 * As http_parser.c, for its successor. It tells an upgrade (and CONNECT) as an error, after the
 * head; and as an error, too, that a callback refused something, without saying which: hence
 * `refused`.
 */

#include "http/parser.h"

#include <errno.h>
#include <llhttp.h>
#include <stdlib.h>

#include "base/memory.h"

struct reading {
	const struct head_events *events;
	void *context;
	int refused; /* HEAD_…, by a callback */
	bool whole;
};

static int told(struct reading *r, int answer, int refused)
{
	if (!answer)
		return 0;
	r->refused = refused;
	return HPE_USER;
}

static int on_target(llhttp_t *p, const char *at, size_t size)
{
	struct reading *r = p->data;

	return told(r, r->events->on_target(r->context, at, size), HEAD_TARGET_BAD);
}

static int on_field(llhttp_t *p, const char *at, size_t size)
{
	struct reading *r = p->data;

	return told(r, r->events->on_field(r->context, at, size), HEAD_MALFORMED);
}

static int on_value(llhttp_t *p, const char *at, size_t size)
{
	struct reading *r = p->data;

	return told(r, r->events->on_value(r->context, at, size), HEAD_VALUE_REFUSED);
}

static int on_headers_complete(llhttp_t *p)
{
	struct reading *r = p->data;

	r->whole = true;
	return 1; /* no body, for us */
}

static const llhttp_settings_t head_settings = {
	.on_url = on_target,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_headers_complete,
};

static int outcome(const llhttp_t *p, const struct reading *r, const char **ret_why)
{
	switch (llhttp_get_errno(p)) {
	case HPE_OK:
	case HPE_PAUSED_UPGRADE:
		*ret_why = "The request is malformed.";
		return r->whole ? HEAD_READ : HEAD_MALFORMED;
	case HPE_INVALID_METHOD:
		return HEAD_METHOD_UNKNOWN;
	case HPE_INVALID_URL:
		return HEAD_TARGET_BAD;
	default:
		*ret_why = llhttp_get_error_reason(p);
		return r->refused ? r->refused : HEAD_MALFORMED;
	}
}

int parser_read_head(const char *bytes, size_t size, const struct head_events *events, void *context,
		     enum method *ret, const char **ret_why)
{
	struct reading r = { .events = events, .context = context };
	llhttp_t p;

	*ret = METHOD_OTHER;
	llhttp_init(&p, HTTP_REQUEST, &head_settings);
	p.data = &r;
	llhttp_execute(&p, bytes, size);
	if (llhttp_get_errno(&p) != HPE_INVALID_METHOD)
		*ret = method_of(llhttp_method_name(llhttp_get_method(&p)));
	return outcome(&p, &r, ret_why);
}

/* Answers */

struct answer_parser {
	const struct answer_events *events;
	void *context;
	llhttp_t parser;
};

static int on_body(llhttp_t *p, const char *bytes, size_t size)
{
	struct answer_parser *a = p->data;

	return a->events->on_body(a->context, bytes, size) ? HPE_USER : 0;
}

static int on_complete(llhttp_t *p)
{
	struct answer_parser *a = p->data;

	a->events->on_complete(a->context);
	return 0;
}

static int on_answer_field(llhttp_t *p, const char *at, size_t size)
{
	struct answer_parser *a = p->data;

	if (a->events->on_field)
		a->events->on_field(a->context, at, size);
	return 0;
}

static int on_answer_value(llhttp_t *p, const char *at, size_t size)
{
	struct answer_parser *a = p->data;

	if (a->events->on_value)
		a->events->on_value(a->context, at, size);
	return 0;
}

static const llhttp_settings_t answer_settings = {
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
	llhttp_init(&a->parser, HTTP_RESPONSE, &answer_settings);
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
	llhttp_errno_t e = size ? llhttp_execute(&a->parser, bytes, size) : llhttp_finish(&a->parser);

	return e == HPE_OK ? 0 : -EBADMSG;
}

unsigned answer_parser_status(const struct answer_parser *a)
{
	return (unsigned)llhttp_get_status_code((llhttp_t *)&a->parser);
}
