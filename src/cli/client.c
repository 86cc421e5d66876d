/* SPDX-License-Identifier: MIT */

/*
 * One connection an exchange, closed by the server after its answer. Sockets don't block,
 * so that one deadline holds for connecting, sending and every read.
 */

#include "cli/client.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/json_reader.h"
#include "http/parser.h"
#include "http/url.h"

#define DEFAULT_URL "http://127.0.0.1:8000"
#define LONGEST_ANSWER (UINT64_C(64) << 20)

struct answer {
	const struct client *client;
	int fd;
	uint64_t until_ns; /* UINT64_MAX: for ever */
	unsigned status; /* 0: not known yet */
	bool complete, enough;
	struct buffer *body;    /* all of it, or what isn't a line yet */
	client_line_fn on_line; /* NULL: all of it */
	void *context;
};

/* Finding the server */

static int parse_url(struct client *c, const char *url, struct buffer *why)
{
	struct url u;

	if (url_read(url, &u) < 0) {
		buffer_printf(why, "'%s' is not a URL such as " DEFAULT_URL, url);
		return EXIT_USAGE;
	}
	free(c->url);
	free(c->host);
	c->host = xstrndup(u.host, u.host_size);
	c->port = u.port;
	c->url = xasprintf(strchr(c->host, ':') ? "http://[%s]:%u" : "http://%s:%u", c->host,
			   c->port);
	return 0;
}

static bool is_loopback(const char *host)
{
	return strcasecmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
	       strncmp(host, "127.", 4) == 0;
}

static bool is_same_server(const struct client *a, const struct client *b)
{
	return a->port == b->port && (strcasecmp(a->host, b->host) == 0 ||
				      (is_loopback(a->host) && is_loopback(b->host)));
}

/* A token goes into a header: one that could end the line is none. */
static char *checked_token(const char *token)
{
	if (!token || !*token)
		return NULL;
	for (const char *c = token; *c; c++)
		if (!isgraph((unsigned char)*c))
			return NULL;
	return xstrdup(token);
}

/* Fills what the file knows; a file that isn't there or isn't whole knows nothing. */
static void read_run_file(struct client *c, const char *path)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL, why = BUFFER_NULL;
	struct json_reader *r = NULL;
	const char *url;
	double pid = 0;

	if (file_read(path, &text) < 0 || !text.size ||
	    json_reader_new(text.data, text.size, &r) < 0)
		return;
	url = json_reader_string(r, "/url");
	if (url && parse_url(c, url, &why) == 0)
		c->run_file = xstrdup(path);
	if (json_reader_number(r, &pid, "/pid") && pid > 0 && pid <= INT32_MAX)
		c->pid = (int)pid;
	c->token = checked_token(json_reader_string(r, "/token"));
	json_reader_free(r);
}

static char *read_token_file(const char *path)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;
	struct client run = CLIENT_NULL;
	char *token;

	if (!path || !*path || file_read(path, &text) < 0 || !text.size)
		return NULL;
	if (text.data[0] == '{')
		read_run_file(&run, path);
	text.data[strcspn(text.data, " \r\n")] = '\0';
	token = run.token ? xstrdup(run.token) : checked_token(text.data);
	client_fini(&run);
	return token;
}

/* Who names a directory means its server, not whichever answers at the usual port. */
static int refuse_root(const char *root, const char *path, struct buffer *why)
{
	if (file_is_directory(root))
		buffer_printf(why, "no server runs for %s: there is no %s; 'devserve %s' starts one", root,
			      path, root);
	else
		buffer_printf(why, "there is no directory %s", root);
	return EXIT_UNAVAILABLE;
}

int client_find(const struct client_options *o, struct client *ret, struct buffer *why)
{
	_cleanup_free_ char *directory = state_directory(o->root ? o->root : OPTIONS_DEFAULT_ROOT, o->state_dir);
	_cleanup_free_ char *path = path_join(directory, "run.json");
	_cleanup_client_ struct client run = CLIENT_NULL;
	struct client c = CLIENT_NULL;
	int r;

	read_run_file(&run, path);
	if (o->root && !o->url && !run.run_file)
		return refuse_root(o->root, path, why);
	r = parse_url(&c, o->url ? o->url : run.run_file ? run.url : DEFAULT_URL, why);
	if (r != 0)
		return r;
	c.token = read_token_file(getenv("DEVSERVE_TOKEN_FILE"));
	if (run.run_file && is_same_server(&c, &run)) {
		if (!c.token && run.token)
			c.token = xstrdup(run.token);
		c.run_file = xstrdup(run.run_file);
		c.pid = run.pid;
	}
	*ret = c;
	return 0;
}

void client_fini(struct client *c)
{
	free(c->url);
	free(c->host);
	free(c->token);
	free(c->run_file);
	*c = (struct client)CLIENT_NULL;
}

/* The connection */

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
	if (c->run_file && c->pid && kill(c->pid, 0) < 0 && errno == ESRCH)
		buffer_printf(why, "; the one that wrote %s has ended", c->run_file);
	else if (!c->run_file && strcmp(c->url, DEFAULT_URL) == 0)
		buffer_puts(why, "; 'devserve' starts one for " OPTIONS_DEFAULT_ROOT);
	return EXIT_UNAVAILABLE;
}

static int connect_server(struct answer *a, struct buffer *why)
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

static int send_request(const struct answer *a, const char *path)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	int r = 0;

	buffer_printf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", path,
		      a->client->url + strlen("http://"));
	if (a->client->token)
		buffer_printf(&b, "Authorization: Bearer %s\r\n", a->client->token);
	buffer_puts(&b, "\r\n");
	while (b.size && r == 0) {
		ssize_t n = send(a->fd, b.data, b.size, MSG_NOSIGNAL);

		if (n >= 0)
			buffer_consume(&b, (size_t)n);
		else if (errno == EAGAIN)
			r = wait_for(a->fd, POLLOUT, a->until_ns);
		else if (errno != EINTR)
			r = -errno;
	}
	return r;
}

/* The answer */

static void take_lines(struct answer *a)
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
	struct answer *a = context;

	if (a->body->size + size > LONGEST_ANSWER)
		return 1;
	buffer_append(a->body, bytes, size);
	if (a->on_line)
		take_lines(a);
	return a->enough;
}

static void on_complete(void *context)
{
	struct answer *a = context;

	a->complete = true;
}

static int take_bytes(struct answer *a, struct answer_parser *parser, const char *bytes, size_t n)
{
	int r = answer_parser_take(parser, bytes, n);

	a->status = answer_parser_status(parser);
	if (a->complete || a->enough)
		return 0;
	return n == 0 ? -ECONNRESET : r;
}

static int read_answer(struct answer *a)
{
	static const struct answer_events events = { .on_body = on_body, .on_complete = on_complete };
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

static int explain(const struct answer *a, int r, struct buffer *why)
{
	if (r == -ETIMEDOUT)
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
	return EXIT_FAILURE;
}

static int ask(struct answer *a, const char *path, uint64_t timeout_ms, int *ret_status,
	       struct buffer *why)
{
	int r;

	a->until_ns = timeout_ms ? clock_ns() + timeout_ms * NS_PER_MS : UINT64_MAX;
	r = connect_server(a, why);
	if (r != 0)
		return r;
	r = send_request(a, path);
	if (r == 0)
		r = read_answer(a);
	close(a->fd);
	if (r < 0)
		return explain(a, r, why);
	if (a->status == 401)
		return explain_token(a->client, why);
	*ret_status = (int)a->status;
	return 0;
}

int client_get(const struct client *c, const char *path, uint64_t timeout_ms, int *ret_status,
	       struct buffer *ret_body, struct buffer *why)
{
	struct answer a = { .client = c, .body = ret_body };

	return ask(&a, path, timeout_ms, ret_status, why);
}

int client_follow(const struct client *c, const char *path, uint64_t timeout_ms,
		  client_line_fn on_line, void *context, int *ret_status, struct buffer *why)
{
	_cleanup_buffer_ struct buffer rest = BUFFER_NULL;
	struct answer a = { .client = c, .body = &rest, .on_line = on_line, .context = context };

	return ask(&a, path, timeout_ms, ret_status, why);
}
