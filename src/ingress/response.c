/* SPDX-License-Identifier: MIT */
#include "ingress/response.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/*
 * Sent with everything: a page of ours loads only from us and is framed by nobody, and no
 * page of others can embed what we answer or guess its type.
 */
static const char guards[] = "Cross-Origin-Resource-Policy: same-origin\r\n"
			     "X-Content-Type-Options: nosniff\r\n"
			     "Content-Security-Policy: default-src 'self'; frame-ancestors 'none'\r\n"
			     "Referrer-Policy: no-referrer\r\n";

void preamble_refresh(struct preamble *p, uint64_t now_ms)
{
	time_t now;
	struct tm utc;

	if (p->made_ms && now_ms - p->made_ms < 1000)
		return;
	now = time(NULL);
	gmtime_r(&now, &utc);
	p->made_ms = now_ms ? now_ms : 1;
	p->size = strftime(p->text, sizeof(p->text), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
	memcpy(p->text + p->size, guards, sizeof(guards) - 1);
	p->size += sizeof(guards) - 1;
}

static const struct {
	int status;
	const char *line;
} lines[] = {
	{ 200, "HTTP/1.1 200 OK\r\n" },
	{ 202, "HTTP/1.1 202 Accepted\r\n" },
	{ 204, "HTTP/1.1 204 No Content\r\n" },
	{ 302, "HTTP/1.1 302 Found\r\n" },
	{ 304, "HTTP/1.1 304 Not Modified\r\n" },
	{ 400, "HTTP/1.1 400 Bad Request\r\n" },
	{ 401, "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n" },
	{ 403, "HTTP/1.1 403 Forbidden\r\n" },
	{ 404, "HTTP/1.1 404 Not Found\r\n" },
	{ 405, "HTTP/1.1 405 Method Not Allowed\r\n" },
	{ 406, "HTTP/1.1 406 Not Acceptable\r\n" },
	{ 408, "HTTP/1.1 408 Request Timeout\r\n" },
	{ 409, "HTTP/1.1 409 Conflict\r\n" },
	{ 413, "HTTP/1.1 413 Content Too Large\r\n" },
	{ 414, "HTTP/1.1 414 URI Too Long\r\n" },
	{ 415, "HTTP/1.1 415 Unsupported Media Type\r\n" },
	{ 417, "HTTP/1.1 417 Expectation Failed\r\n" },
	{ 421, "HTTP/1.1 421 Misdirected Request\r\n" },
	{ 422, "HTTP/1.1 422 Unprocessable Content\r\n" },
	{ 429, "HTTP/1.1 429 Too Many Requests\r\n" },
	{ 431, "HTTP/1.1 431 Request Header Fields Too Large\r\n" },
	{ 500, "HTTP/1.1 500 Internal Server Error\r\n" },
	{ 501, "HTTP/1.1 501 Not Implemented\r\n" },
	{ 503, "HTTP/1.1 503 Service Unavailable\r\n" },
	{ 504, "HTTP/1.1 504 Gateway Timeout\r\n" },
	{ 505, "HTTP/1.1 505 HTTP Version Not Supported\r\n" },
};

static char *put(char *to, const void *bytes, size_t size)
{
	memcpy(to, bytes, size);
	return to + size;
}

#define PUT(to, literal) put(to, literal, sizeof(literal) - 1)

static char *put_text(char *to, const char *text, size_t max)
{
	size_t size = strlen(text);

	return put(to, text, size < max ? size : max);
}

static char *put_number(char *to, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	return put(to, digits + at, sizeof(digits) - at);
}

static char *put_status(char *to, int status)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		if (lines[i].status == status)
			return put_text(to, lines[i].line, 80);
	to = PUT(to, "HTTP/1.1 ");
	to = put_number(to, (uint64_t)status);
	return PUT(to, " -\r\n");
}

static char *put_fields(char *to, const struct response *r)
{
	if (r->type) {
		to = PUT(to, "Content-Type: ");
		to = put_text(to, r->type, 80);
		to = PUT(to, "\r\n");
	}
	if (r->coding) {
		to = PUT(to, "Content-Encoding: ");
		to = put_text(to, r->coding, 20);
		to = PUT(to, "\r\n");
	}
	if (r->packable)
		to = PUT(to, "Vary: Accept-Encoding\r\n");
	if (r->json_size != RESPONSE_NONE) {
		to = PUT(to, "Inference-Header-Content-Length: ");
		to = put_number(to, r->json_size);
		to = PUT(to, "\r\n");
	}
	if (r->generation) {
		to = PUT(to, "X-Devserve-Generation: ");
		to = put_number(to, r->generation);
		to = PUT(to, "\r\n");
	}
	if (r->stale) {
		to = PUT(to, "X-Devserve-Stale: ");
		to = put_text(to, r->stale, 40);
		to = PUT(to, "\r\n");
	}
	if (r->allow) {
		to = PUT(to, "Allow: ");
		to = put_text(to, r->allow, 80);
		to = PUT(to, "\r\n");
	}
	if (r->retry)
		to = PUT(to, "Retry-After: 1\r\n");
	if (r->no_store)
		to = PUT(to, "Cache-Control: no-store\r\n");
	return to;
}

/* Never with "*", never with credentials: no cookie means anything here. */
static char *put_origin(char *to, const struct response *r)
{
	if (r->vary)
		to = PUT(to, "Vary: Origin\r\n");
	if (!r->origin.at)
		return to;
	to = PUT(to, "Access-Control-Allow-Origin: ");
	to = put(to, r->origin.at, r->origin.size);
	to = PUT(to, "\r\nAccess-Control-Expose-Headers: Inference-Header-Content-Length, Retry-After, "
		     "X-Devserve-Generation, X-Devserve-Stale\r\n");
	if (r->status != 204 || !r->allow)
		return to;
	to = PUT(to, "Access-Control-Allow-Methods: ");
	to = put_text(to, r->allow, 80);
	return PUT(to, "\r\nAccess-Control-Allow-Headers: Authorization, Content-Encoding, Content-Type, "
		       "Inference-Header-Content-Length\r\nAccess-Control-Max-Age: 600\r\n");
}

static char *put_framing(char *to, const struct response *r)
{
	if (r->close)
		to = PUT(to, "Connection: close\r\n");
	else if (r->minor == 0)
		to = PUT(to, "Connection: keep-alive\r\n");
	if (r->chunked)
		to = PUT(to, "Transfer-Encoding: chunked\r\n");
	if (r->length != RESPONSE_NONE) {
		to = PUT(to, "Content-Length: ");
		to = put_number(to, r->length);
		to = PUT(to, "\r\n");
	}
	return PUT(to, "\r\n");
}

size_t response_head(const struct response *r, const struct preamble *p, char *to)
{
	char *end = put_status(to, r->status);

	end = put(end, p->text, p->size);
	end = put_fields(end, r);
	end = put_origin(end, r);
	end = put_framing(end, r);
	assert(end - to <= RESPONSE_MAX_HEAD);
	return (size_t)(end - to);
}
