/* SPDX-License-Identifier: MIT */

/*
 * A library takes the head apart, and only the head (http/parser.h). Bodies are counted by the
 * connection, which wants to read them to where they belong.
 */

#include "ingress/http1.h"

#include <string.h>
#include <strings.h>

#include "http/parser.h"

static int on_target(void *context, const char *at, size_t size)
{
	struct head *h = context;
	struct span raw = { at, size };

	return target_split(raw, &h->target);
}

static int on_field(void *context, const char *at, size_t size)
{
	struct head *h = context;

	h->fields[h->n_fields].name = (struct span){ at, size };
	return 0;
}

/* Of two that say different things, whoever looks at the other one is deceived. */
static int keep(struct span name, const char *wanted, struct span value, struct span *ret)
{
	if (strncasecmp(name.at, wanted, name.size) != 0)
		return 0;
	if (ret->at)
		return 1;
	*ret = value;
	return 0;
}

/* By length first: most fields are told apart by it alone. */
static int classify(struct head *h, struct span name, struct span value)
{
	switch (name.size) {
	case 4:
		return keep(name, "host", value, &h->host);
	case 6:
		return keep(name, "origin", value, &h->origin) || keep(name, "expect", value, &h->expect);
	case 13:
		return keep(name, "authorization", value, &h->authorization);
	case 14:
		return keep(name, "sec-fetch-site", value, &h->site) ||
		       keep(name, "sec-fetch-mode", value, &h->mode) ||
		       keep(name, "sec-fetch-dest", value, &h->destination);
	case 15:
		if (!h->accept_encoding.at)
			keep(name, "accept-encoding", value, &h->accept_encoding);
		return 0;
	case 16:
		return keep(name, "content-encoding", value, &h->content_encoding);
	case 29:
		return keep(name, "access-control-request-method", value, &h->request_method);
	case 31:
		return keep(name, "inference-header-content-length", value, &h->json_size);
	default:
		return 0;
	}
}

static int on_value(void *context, const char *at, size_t size)
{
	struct head *h = context;

	while (size && (at[size - 1] == ' ' || at[size - 1] == '\t'))
		size--;
	h->fields[h->n_fields].value = (struct span){ at, size };
	return classify(h, h->fields[h->n_fields++].name, (struct span){ at, size });
}

static const struct head_events events = {
	.on_target = on_target,
	.on_field = on_field,
	.on_value = on_value,
};

static int refuse(int status, const char *sentence, const char **ret_why)
{
	*ret_why = sentence;
	return status;
}

static int explain(int outcome, enum method method, const char *malformed, const char **ret_why)
{
	if (outcome == HEAD_METHOD_UNKNOWN)
		return refuse(501, "This method is not known.", ret_why);
	if (method == METHOD_CONNECT)
		return refuse(501, "CONNECT is for proxies.", ret_why);
	if (outcome == HEAD_TARGET_BAD)
		return refuse(400, "The request target is malformed.", ret_why);
	if (outcome == HEAD_VALUE_REFUSED)
		return refuse(400, "A header field that may be there once is there twice.", ret_why);
	return refuse(400, malformed, ret_why);
}

int head_parse(struct head *h, const struct gate *g, const char *bytes, const char **ret_why)
{
	const char *malformed = NULL;
	enum method method;
	int outcome;

	memset(h, 0, offsetof(struct head, fields));
	outcome = parser_read_head(bytes + g->start, g->at - g->start, &events, h, &method, &malformed);
	h->method = method;
	h->keep_alive = !g->close && (g->minor > 0 || g->keep_alive);
	h->minor = g->minor;
	h->chunked = g->chunked;
	h->length = g->length;
	if (outcome == HEAD_READ && method != METHOD_CONNECT)
		return 0;
	return explain(outcome, method, malformed, ret_why);
}
