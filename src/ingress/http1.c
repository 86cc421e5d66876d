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

static void keep(struct span name, const char *wanted, struct span value, struct span *ret)
{
	if (strncasecmp(name.at, wanted, name.size) == 0)
		*ret = value;
}

/* By length first: most fields are told apart by it alone. */
static void classify(struct head *h, struct span name, struct span value)
{
	switch (name.size) {
	case 4:
		keep(name, "host", value, &h->host);
		break;
	case 6:
		keep(name, "origin", value, &h->origin);
		keep(name, "expect", value, &h->expect);
		break;
	case 13:
		keep(name, "authorization", value, &h->authorization);
		break;
	case 14:
		keep(name, "sec-fetch-site", value, &h->site);
		keep(name, "sec-fetch-mode", value, &h->mode);
		keep(name, "sec-fetch-dest", value, &h->destination);
		break;
	case 16:
		keep(name, "content-encoding", value, &h->content_encoding);
		break;
	case 31:
		keep(name, "inference-header-content-length", value, &h->json_size);
		break;
	}
}

static int on_value(http_parser *p, const char *at, size_t size)
{
	struct head *h = p->data;

	while (size && (at[size - 1] == ' ' || at[size - 1] == '\t'))
		size--;
	h->fields[h->n_fields].value = (struct span){ at, size };
	classify(h, h->fields[h->n_fields].name, (struct span){ at, size });
	h->n_fields++;
	return 0;
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

int head_parse(struct head *h, const struct gate *g, const char *bytes, const char **ret_why)
{
	http_parser parser;
	size_t n;

	memset(h, 0, offsetof(struct head, fields));
	http_parser_init(&parser, HTTP_REQUEST);
	parser.data = h;
	n = http_parser_execute(&parser, &settings, bytes + g->start, g->at - g->start);
	h->minor = g->minor;
	h->chunked = g->chunked;
	h->length = g->length;
	switch (HTTP_PARSER_ERRNO(&parser)) {
	case HPE_OK:
		if (n == g->at - g->start)
			return 0;
		*ret_why = "The request is malformed.";
		return 400;
	case HPE_INVALID_METHOD:
		*ret_why = "This method is not known.";
		return 501;
	case HPE_CB_url:
	case HPE_INVALID_URL:
		*ret_why = "The request target is malformed.";
		return 400;
	default:
		*ret_why = http_errno_description(HTTP_PARSER_ERRNO(&parser));
		return 400;
	}
}
