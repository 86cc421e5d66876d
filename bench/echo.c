/* SPDX-License-Identifier: MIT */

/*
 * The bare server that devserve is compared with: libuv and http_parser, one process, no
 * routes, no checks, nothing computed. What it costs is what the machine and the two
 * libraries cost.
 *
 *	echo PORT BYTES           answers each request with BYTES bytes
 *	echo PORT BYTES --sink    the same for large bodies: the answer is the first BYTES
 *	                          bytes of what came, so the same bytes are read and written
 *
 * Pin it from outside (taskset). Ends with SIGTERM.
 */

#include <errno.h>
#include <http_parser.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct client {
	uv_tcp_t tcp;
	uv_write_t write;
	http_parser parser;
	bool writing;
	size_t received; /* of the body, kept in `body` */
	char *body;
};

static uv_tcp_t listener;
static char read_buffer[65536];
static char *answer; /* head, then the body that is sent where nothing is kept */
static size_t head_size, body_size;
static bool sink;

static void on_closed(uv_handle_t *handle)
{
	struct client *c = (struct client *)handle;

	free(c->body);
	free(c);
}

static void on_written(uv_write_t *req, int status)
{
	(void)req, (void)status;
}

static void send_answer(struct client *c)
{
	uv_buf_t parts[2] = {
		uv_buf_init(answer, (unsigned)head_size),
		uv_buf_init(sink ? c->body : answer + head_size, (unsigned)body_size),
	};
	int n = uv_try_write((uv_stream_t *)&c->tcp, parts, 2);

	if (n < 0 && n != UV_EAGAIN)
		return;
	if (n < 0)
		n = 0;
	if ((size_t)n == head_size + body_size)
		return;
	for (int i = 0; i < 2; i++) {
		size_t gone = (size_t)n < parts[i].len ? (size_t)n : parts[i].len;

		parts[i].base += gone;
		parts[i].len -= gone;
		n -= (int)gone;
	}
	uv_write(&c->write, (uv_stream_t *)&c->tcp, parts, 2, on_written);
}

static int on_body(http_parser *p, const char *at, size_t size)
{
	struct client *c = p->data;

	if (sink && c->received < body_size) {
		size_t n = body_size - c->received < size ? body_size - c->received : size;

		memcpy(c->body + c->received, at, n);
		c->received += n;
	}
	return 0;
}

static int on_complete(http_parser *p)
{
	struct client *c = p->data;

	c->received = 0;
	send_answer(c);
	return 0;
}

static const http_parser_settings settings = {
	.on_body = on_body,
	.on_message_complete = on_complete,
};

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
	(void)handle, (void)size;
	*ret = uv_buf_init(read_buffer, sizeof(read_buffer));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct client *c = (struct client *)stream;

	if (n > 0 &&
	    http_parser_execute(&c->parser, &settings, buf->base, (size_t)n) == (size_t)n)
		return;
	if (n != 0)
		uv_close((uv_handle_t *)c, on_closed);
}

static void on_connection(uv_stream_t *server, int status)
{
	struct client *c = calloc(1, sizeof(*c));

	(void)status;
	if (!c)
		abort();
	if (sink)
		c->body = malloc(body_size);
	http_parser_init(&c->parser, HTTP_REQUEST);
	c->parser.data = c;
	uv_tcp_init(server->loop, &c->tcp);
	if (uv_accept(server, (uv_stream_t *)&c->tcp) < 0) {
		uv_close((uv_handle_t *)c, on_closed);
		return;
	}
	uv_tcp_nodelay(&c->tcp, 1);
	uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

static void make_answer(void)
{
	char head[200];

	head_size = (size_t)snprintf(head, sizeof(head),
				     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
				     "Content-Length: %zu\r\n\r\n", body_size);
	answer = malloc(head_size + body_size);
	if (!answer)
		abort();
	memcpy(answer, head, head_size);
	memset(answer + head_size, 'x', body_size);
}

int main(int argc, char **argv)
{
	uv_loop_t *loop = uv_default_loop();
	struct sockaddr_in a;
	int r;

	if (argc < 3) {
		fprintf(stderr, "usage: echo PORT BYTES [--sink]\n");
		return 2;
	}
	body_size = strtoul(argv[2], NULL, 10);
	sink = argc > 3 && strcmp(argv[3], "--sink") == 0;
	signal(SIGPIPE, SIG_IGN);
	make_answer();
	uv_ip4_addr("127.0.0.1", (int)strtoul(argv[1], NULL, 10), &a);
	uv_tcp_init(loop, &listener);
	r = uv_tcp_bind(&listener, (struct sockaddr *)&a, 0);
	if (r == 0)
		r = uv_listen((uv_stream_t *)&listener, 1024, on_connection);
	if (r < 0) {
		fprintf(stderr, "echo: port %s: %s\n", argv[1], uv_strerror(r));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	return uv_run(loop, UV_RUN_DEFAULT);
}
