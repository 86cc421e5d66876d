/* SPDX-License-Identifier: MIT */

/*
 * One connection an exchange, closed by the server after its answer. Sockets don't block,
 * so that one deadline holds for connecting, sending and every read.
 */

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/process.h"
#include "cli/client.h"
#include "http/parser.h"

#define LONGEST_ANSWER (UINT64_C(64) << 20)

struct exchange {
	const struct client *client;
	int fd;
	uint64_t until_ns; /* UINT64_MAX: for ever */
	uint64_t longest;  /* body */
	struct client_answer *answer;
	struct buffer field, value; /* of the header that is being read */
	bool in_value;
	bool complete, enough;
	struct buffer *body;    /* all of it, or what isn't a line yet */
	client_line_fn on_line; /* NULL: all of it */
	void *context;
};

/* 0 when @events may be true of @fd, -ETIMEDOUT, or -errno. */
static int wait_for(int fd, short events, uint64_t until_ns)
{
	for (;;) {
		uint64_t now = clock_ns(), left = until_ns > now ? until_ns - now : 0;
		struct pollfd p = { .fd = fd, .events = events };
		int ms = left / NS_PER_MS >= 3600000 ? 3600000 : (int)(left / NS_PER_MS) + 1;
		int n;

		if (!left)
			return -ETIMEDOUT;
		n = poll(&p, 1, ms);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int connect_address(const struct addrinfo *a, uint64_t until_ns, int *ret)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r = 0;
	socklen_t size = sizeof(r);

	if (fd < 0)
		return -errno;
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
		r = errno == EINPROGRESS ? wait_for(fd, POLLOUT, until_ns) : -errno;
		if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &r, &size) == 0)
			r = -r;
	}
	if (r < 0)
		close(fd);
	else
		*ret = fd;
	return r;
}

static int refuse_connection(const struct client *c, const char *reason, struct buffer *why)
{
	buffer_printf(why, "no server answers at %s: %s", c->url, reason);
	if (c->run_file && c->pid && !process_is_alive(c->pid))
		buffer_printf(why, "; the one that wrote %s has ended; '%s' starts another", c->run_file, c->start);
	else if (!c->run_file && strcmp(c->url, CLIENT_DEFAULT_URL) == 0)
		buffer_puts(why, "; 'devserve' starts one for " OPTIONS_DEFAULT_ROOT);
	return EXIT_UNAVAILABLE;
}

static int connect_server(struct exchange *a, struct buffer *why)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	_cleanup_free_ char *port = xasprintf("%u", a->client->port);
	struct addrinfo *all;
	int r = getaddrinfo(a->client->host, port, &hints, &all);

	if (r != 0)
		return refuse_connection(a->client, gai_strerror(r), why);
	r = -EADDRNOTAVAIL;
	for (const struct addrinfo *i = all; i && r < 0; i = i->ai_next)
		r = connect_address(i, a->until_ns, &a->fd);
	freeaddrinfo(all);
	return r < 0 ? refuse_connection(a->client, strerror(-r), why) : 0;
}

static void put_head(const struct exchange *a, const struct client_request *q, struct buffer *b)
{
	buffer_printf(b, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", q->body ? "POST" : "GET",
		      q->path, a->client->url + strlen("http://"));
	if (a->client->token)
		buffer_printf(b, "Authorization: Bearer %s\r\n", a->client->token);
	if (q->body)
		buffer_printf(b,
			      "Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n"
			      "Inference-Header-Content-Length: %zu\r\n",
			      q->body->size, q->json_size);
	buffer_puts(b, "\r\n");
}

/* A server that refuses the body may answer and close before it has all of it. */
static int send_bytes(const struct exchange *a, const char *bytes, size_t size)
{
	int r = 0;

	while (size && r == 0) {
		ssize_t n = send(a->fd, bytes, size, MSG_NOSIGNAL);

		if (n >= 0) {
			bytes += n;
			size -= (size_t)n;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			return 0;
		} else if (errno == EAGAIN)
			r = wait_for(a->fd, POLLOUT, a->until_ns);
		else if (errno != EINTR)
			r = -errno;
	}
	return r;
}

static int send_request(const struct exchange *a, const struct client_request *q)
{
	_cleanup_buffer_ struct buffer head = BUFFER_NULL;
	int r;

	put_head(a, q, &head);
	r = send_bytes(a, head.data, head.size);
	if (r == 0 && q->body)
		r = send_bytes(a, q->body->data, q->body->size);
	return r;
}

/* The answer */

/* A header may come in pieces. */
static void on_field(void *context, const char *bytes, size_t size)
{
	struct exchange *a = context;

	if (a->in_value) {
		buffer_reset(&a->field);
		buffer_reset(&a->value);
	}
	a->in_value = false;
	buffer_append(&a->field, bytes, size);
}

static void on_value(void *context, const char *bytes, size_t size)
{
	struct exchange *a = context;
	struct client_answer *answer = a->answer;

	a->in_value = true;
	buffer_append(&a->value, bytes, size);
	if (strcasecmp(a->field.data, "X-Devserve-Generation") == 0)
		answer->generation = (uint32_t)strtoul(a->value.data, NULL, 10);
	else if (strcasecmp(a->field.data, "X-Devserve-Stale") == 0)
		snprintf(answer->stale, sizeof(answer->stale), "%s", a->value.data);
	else if (strcasecmp(a->field.data, "Inference-Header-Content-Length") == 0)
		answer->json_size = strtoul(a->value.data, NULL, 10);
}

static void take_lines(struct exchange *a)
{
	char *end;

	while (!a->enough && a->body->size &&
	       (end = memchr(a->body->data, '\n', a->body->size))) {
		size_t size = (size_t)(end - a->body->data);
		bool cr = size && end[-1] == '\r';

		a->enough = !a->on_line(a->context, a->body->data, size - cr);
		buffer_consume(a->body, size + 1);
	}
}

static int on_body(void *context, const char *bytes, size_t size)
{
	struct exchange *a = context;

	if (a->body->size + size > a->longest)
		return 1;
	buffer_append(a->body, bytes, size);
	if (a->on_line)
		take_lines(a);
	return a->enough;
}

static void on_complete(void *context)
{
	struct exchange *a = context;

	a->complete = true;
}

static int take_bytes(struct exchange *a, struct answer_parser *parser, const char *bytes, size_t n)
{
	int r = answer_parser_take(parser, bytes, n);

	a->answer->status = (int)answer_parser_status(parser);
	if (a->complete || a->enough)
		return 0;
	return n == 0 ? -ECONNRESET : r;
}

static int read_answer(struct exchange *a)
{
	static const struct answer_events events = {
		.on_body = on_body, .on_complete = on_complete, .on_field = on_field, .on_value = on_value,
	};
	struct answer_parser *parser = answer_parser_new(&events, a);
	char bytes[16384];
	int r = 0;

	while (r == 0 && !a->complete && !a->enough) {
		ssize_t n = recv(a->fd, bytes, sizeof(bytes), 0);

		if (n >= 0)
			r = take_bytes(a, parser, bytes, (size_t)n);
		else if (errno == EAGAIN)
			r = wait_for(a->fd, POLLIN, a->until_ns);
		else if (errno != EINTR)
			r = -errno;
	}
	answer_parser_free(parser);
	return r;
}

static int explain(const struct exchange *a, const struct client_request *q, int r, struct buffer *why)
{
	if (r == -ETIMEDOUT && q->late)
		buffer_puts(why, q->late);
	else if (r == -ETIMEDOUT)
		buffer_printf(why, "the server at %s did not answer in time", a->client->url);
	else if (r == -EBADMSG)
		buffer_printf(why, "what answers at %s is not devserve", a->client->url);
	else
		buffer_printf(why, "the server at %s ended the connection: %s", a->client->url,
			      strerror(-r));
	return r == -EPIPE || r == -ECONNRESET ? EXIT_UNAVAILABLE : EXIT_FAILURE;
}

static int explain_token(const struct client *c, struct buffer *why)
{
	buffer_printf(why,
		      "the server at %s wants its token%s; run this where its ./plugins is, or let "
		      "DEVSERVE_TOKEN_FILE name its run.json",
		      c->url, c->token ? ", which is not the one that was found" : "");
	if (!c->token && c->token_why)
		buffer_printf(why, "; DEVSERVE_TOKEN_FILE names %s", c->token_why);
	return EXIT_FAILURE;
}

static int converse(struct exchange *a, const struct client_request *q, struct buffer *why)
{
	int r = connect_server(a, why);

	if (r != 0)
		return r;
	r = send_request(a, q);
	if (r == 0)
		r = read_answer(a);
	close(a->fd);
	if (r < 0)
		return explain(a, q, r, why);
	if (a->answer->status == 401)
		return explain_token(a->client, why);
	if (a->answer->json_size > a->body->size)
		a->answer->json_size = a->body->size;
	return 0;
}

static int ask(struct exchange *a, const struct client_request *q, struct buffer *why)
{
	int r;

	a->until_ns = q->timeout_ms ? clock_ns() + q->timeout_ms * NS_PER_MS : UINT64_MAX;
	a->longest = q->longest ? q->longest : LONGEST_ANSWER;
	a->answer->json_size = SIZE_MAX;
	r = converse(a, q, why);
	buffer_fini(&a->field);
	buffer_fini(&a->value);
	return r;
}

int client_ask(const struct client *c, const struct client_request *q, struct client_answer *ret,
	       struct buffer *why)
{
	struct exchange a = { .client = c, .body = &ret->body, .answer = ret };

	return ask(&a, q, why);
}

int client_get(const struct client *c, const char *path, uint64_t timeout_ms, int *ret_status,
	       struct buffer *ret_body, struct buffer *why)
{
	const struct client_request q = { .path = path, .timeout_ms = timeout_ms };
	struct client_answer answer = CLIENT_ANSWER_NULL;
	struct exchange a = { .client = c, .body = ret_body, .answer = &answer };
	int r = ask(&a, &q, why);

	if (r == 0)
		*ret_status = answer.status;
	return r;
}

int client_follow(const struct client *c, const char *path, uint64_t timeout_ms,
		  client_line_fn on_line, void *context, int *ret_status, struct buffer *why)
{
	_cleanup_buffer_ struct buffer rest = BUFFER_NULL;
	const struct client_request q = { .path = path, .timeout_ms = timeout_ms };
	struct client_answer answer = CLIENT_ANSWER_NULL;
	struct exchange a = {
		.client = c, .body = &rest, .answer = &answer, .on_line = on_line, .context = context,
	};
	int r = ask(&a, &q, why);

	if (r == 0)
		*ret_status = answer.status;
	return r;
}
