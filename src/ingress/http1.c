/* SPDX-License-Identifier: MIT */

/*
 * http_parser takes the head apart, and only the head: on_headers_complete says "no body",
 * so the parser is done where the head ends, and is made anew for the next request. (It
 * could be paused there instead; paused it doesn't consume the last line feed.) Bodies
 * are counted by the connection, which wants to read them to where they belong.
 *
 * The head is always contiguous, so each callback comes once with the whole text.
 */

#include "ingress/http1.h"

#include <http_parser.h>
#include <string.h>
#include <strings.h>

static int on_url(http_parser *p, const char *at, size_t size)
{
	struct head *h = p->data;
	struct span raw = { at, size };

	return target_split(raw, &h->target);
}

static int on_field(http_parser *p, const char *at, size_t size)
{
	struct head *h = p->data;

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

static int on_value(http_parser *p, const char *at, size_t size)
{
	struct head *h = p->data;

	while (size && (at[size - 1] == ' ' || at[size - 1] == '\t'))
		size--;
	h->fields[h->n_fields].value = (struct span){ at, size };
	return classify(h, h->fields[h->n_fields++].name, (struct span){ at, size });
}

static int on_complete(http_parser *p)
{
	struct head *h = p->data;

	h->method = p->method;
	h->keep_alive = http_should_keep_alive(p);
	return 1;
}

static const http_parser_settings settings = {
	.on_url = on_url,
	.on_header_field = on_field,
	.on_header_value = on_value,
	.on_headers_complete = on_complete,
};

static int refuse(int status, const char *sentence, const char **ret_why)
{
	*ret_why = sentence;
	return status;
}

static int explain(const http_parser *p, const char **ret_why)
{
	enum http_errno e = HTTP_PARSER_ERRNO(p);

	if (e == HPE_INVALID_METHOD)
		return refuse(501, "This method is not known.", ret_why);
	if (p->method == HTTP_CONNECT)
		return refuse(501, "CONNECT is for proxies.", ret_why);
	if (e == HPE_CB_url || e == HPE_INVALID_URL)
		return refuse(400, "The request target is malformed.", ret_why);
	if (e == HPE_CB_header_value)
		return refuse(400, "A header field that may be there once is there twice.", ret_why);
	return refuse(400, e == HPE_OK ? "The request is malformed." : http_errno_description(e), ret_why);
}

int head_parse(struct head *h, const struct gate *g, const char *bytes, const char **ret_why)
{
	http_parser parser;
	size_t n, size = g->at - g->start;

	memset(h, 0, offsetof(struct head, fields));
	http_parser_init(&parser, HTTP_REQUEST);
	parser.data = h;
	n = http_parser_execute(&parser, &settings, bytes + g->start, size);
	h->minor = g->minor;
	h->chunked = g->chunked;
	h->length = g->length;
	if (n == size && HTTP_PARSER_ERRNO(&parser) == HPE_OK && parser.method != HTTP_CONNECT)
		return 0;
	return explain(&parser, ret_why);
}
