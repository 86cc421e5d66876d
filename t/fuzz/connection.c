/* SPDX-License-Identifier: MIT */

/*
 * Any bytes on a connection, through all that reads them: socket, gate, parser, routes, chunks,
 * infer requests, and back. The server is the real one; behind it, at deploy's seam (handle.h),
 * deployments that answer with what they were asked.
 *
 *	byte 0   in pieces of how many bytes they are sent the second time
 *	byte 1   1: calls end in reverse order; 2: the client vanishes instead of ending
 *
 * Whatever comes: each answer is well-formed, none follows "Connection: close", the line is cut
 * once the client has ended, nothing stays behind, and the answers don't depend on the pieces.
 */

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "deploy/handle.h"
#include "infer/signature.h"
#include "ingress/exchange.h"
#include "ingress/ingress.h"
#include "ingress/listener.h"
#include "counted.h"

#define MAX_SIZE 16384
#define MAX_BODY 65536
#define MAX_CALLS 256

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The deployments */

static unsigned n_references;
static struct infer_memory memory = COUNTED_MEMORY;
static struct handle simple = { .name = "simple", .memory = &memory, .generation = 7 };
static struct handle bytes_too = { .name = "b\xc3\xa9", .memory = &memory, .generation = 8, .stale = "building" };
static struct handle loading = { .name = "loading" };

static void add_port(struct signature *s, const char *name, uint32_t dtype, int64_t extent)
{
	struct signature_port *in = &s->inputs[s->n_inputs++], *out = &s->outputs[s->n_outputs++];

	in->dtype = dtype;
	in->rank = 1;
	in->shape[0] = extent;
	*out = *in;
	in->name = xstrdup(name);
	out->name = xstrdup(name);
}

static void make_handles(void)
{
	simple.signature = signature_new();
	simple.signature->max_batch_size = 4;
	add_port(simple.signature, "A", DEVSERVE_INT32, 2);
	add_port(simple.signature, "B", DEVSERVE_FP32, -1);
	bytes_too.signature = signature_new();
	add_port(bytes_too.signature, "X", DEVSERVE_BYTES, -1);
	simple.state = bytes_too.state = HANDLE_READY;
	loading.state = HANDLE_LOADING;
}

struct handle *handle_find(struct deploy *d, const char *name, size_t size)
{
	struct handle *const all[] = { &simple, &bytes_too, &loading };

	(void)d;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (strlen(all[i]->name) == size && memcmp(all[i]->name, name, size) == 0)
			return handle_ref(all[i]);
	return NULL;
}

struct handle *handle_ref(struct handle *h)
{
	n_references++;
	return h;
}

struct handle *handle_unref(struct handle *h)
{
	assert(h && n_references);
	n_references--;
	return NULL;
}

/* What is under way: calls, and exchanges of routes that answer later. */

struct job {
	struct infer_request *r;
	struct exchange *x;
	bool stream;
};

static struct job jobs[MAX_CALLS];
static unsigned n_jobs;

static void add_job(struct job job)
{
	assert(n_jobs < MAX_CALLS);
	jobs[n_jobs++] = job;
}

static void remove_job(unsigned i)
{
	memmove(&jobs[i], &jobs[i + 1], sizeof(*jobs) * (--n_jobs - i));
}

void handle_submit(struct handle *h, struct infer_request *r)
{
	assert(r->signature == h->signature);
	add_job((struct job){ .r = r });
}

void handle_cancel(struct handle *h, struct infer_request *r)
{
	unsigned i = 0;

	(void)h;
	while (jobs[i].r != r)
		assert(++i < n_jobs);
	remove_job(i);
}

void handle_release(struct handle *h, struct infer_request *r)
{
	assert(h->signature == r->signature);
	r->n_outputs = 0;
}

static void end_call(struct infer_request *r)
{
	r->n_outputs = r->n_inputs;
	memcpy(r->outputs, r->inputs, sizeof(r->outputs));
	r->generation = 9;
	r->done(r);
}

static void end_job(bool reverse)
{
	unsigned i = reverse ? n_jobs - 1 : 0;
	struct job job = jobs[i];

	remove_job(i);
	if (job.r) {
		end_call(job.r);
	} else if (job.stream) {
		exchange_write(job.x, "x\n", 2);
		exchange_end(job.x);
	} else {
		exchange_respond(job.x, 200, "text/plain", "later", 5);
	}
}

/* The routes */

static void on_gone(void *context)
{
	unsigned i = 0;

	while (jobs[i].x != context)
		assert(++i < n_jobs);
	remove_job(i);
}

static void answer_echo(void *context, struct exchange *x)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	const char *q = exchange_query(x, "q"), *host = exchange_header(x, "Host");
	size_t size;
	const char *body = exchange_body(x, &size);

	(void)context;
	buffer_puts(&b, exchange_path(x));
	buffer_puts(&b, q ? q : "");
	buffer_puts(&b, host ? host : "");
	buffer_append(&b, body, size);
	exchange_respond(x, 200, "text/plain", b.data, b.size);
}

static void answer_later(void *context, struct exchange *x)
{
	(void)context;
	add_job((struct job){ .x = x });
	exchange_defer(x, on_gone, x);
}

static void answer_stream(void *context, struct exchange *x)
{
	(void)context;
	add_job((struct job){ .x = x, .stream = true });
	exchange_stream(x, "text/event-stream", on_gone, x);
}

static const struct route routes[] = {
	{ "GET", "/", false, answer_echo, NULL },         { "POST", "/-/echo", true, answer_echo, NULL },
	{ "GET", "/-/later", true, answer_later, NULL },  { "GET", "/-/stream", true, answer_stream, NULL },
	{ "PUT", "/put/", false, answer_echo, NULL },     { .path = NULL },
};

/* The server and its client */

static uv_loop_t loop;
static struct ingress *ingress;

static void start(void)
{
	const struct ingress_options o = {
		.max_body = MAX_BODY, .max_connections = 16, .token = "secret", .version = "0", .routes = routes,
		.patience = { .head_ms = 60000, .body_ms = 60000, .send_ms = 60000, .idle_ms = 60000 },
		.allow_host = "gpu1", .allow_origin = "http://a",
	};
	struct buffer why = BUFFER_NULL;

	make_handles();
	uv_loop_init(&loop);
	if (ingress_start(&loop, NULL, &o, &why, &ingress) < 0) {
		fprintf(stderr, "%s\n", buffer_text(&why));
		abort();
	}
}

/* libFuzzer looks at its clock by signals: one may come at any time. */
static bool becomes_connected(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t size = sizeof(errno);

	if (errno != EINPROGRESS && errno != EINTR)
		return false;
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &errno, &size) == 0 && !errno;
}

/* From another of loopback's addresses each time: ports wait where the server closes first. */
static int dial(void)
{
	static uint32_t n;
	const struct sockaddr_in from = { .sin_family = AF_INET,
					  .sin_addr = { htonl(INADDR_LOOPBACK + n++ % 0xfffff0) } };
	const struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)ingress->options.port),
					.sin_addr = { htonl(INADDR_LOOPBACK) } };
	const struct linger reset = { .l_onoff = 1 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert(fd >= 0 && bind(fd, (const struct sockaddr *)&from, sizeof(from)) == 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0 && !becomes_connected(fd)) {
		perror("connect");
		abort();
	}
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	return fd;
}

struct talk {
	int fd;
	bool reverse, cut;
	struct buffer got;
};

static bool listen_to(struct talk *t)
{
	bool news = false;

	while (!t->cut) {
		ssize_t n = recv(t->fd, buffer_reserve(&t->got, 65536), 65536, 0);

		if (n < 0 && errno == EAGAIN)
			break;
		news = true;
		t->cut = n <= 0;
		if (n > 0)
			buffer_grow(&t->got, (size_t)n);
	}
	return news;
}

/* Until nothing happens any more. */
static void pump(struct talk *t)
{
	unsigned quiet = 0;

	while (quiet < 2) {
		bool news;

		uv_run(&loop, UV_RUN_NOWAIT);
		news = listen_to(t) || !TAILQ_EMPTY(&ingress->due);
		if (n_jobs) {
			end_job(t->reverse);
			news = true;
		}
		quiet = news ? 0 : quiet + 1;
	}
}

static void say(struct talk *t, const char *bytes, size_t size)
{
	while (size && !t->cut) {
		ssize_t n = send(t->fd, bytes, size, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			break;
		if (n > 0) {
			bytes += n;
			size -= (size_t)n;
		}
		pump(t);
	}
}

static void check_nothing_is_left(void)
{
	for (int i = 0; ingress->n_connections && i < 1000; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
	assert(!ingress->n_connections && !n_jobs && !n_blocks && !n_charged && !n_references);
}

static struct buffer converse(const char *bytes, size_t size, size_t step, unsigned how)
{
	struct talk t = { .fd = dial(), .reverse = how & 1 };

	for (size_t at = 0; at < size; at += step)
		say(&t, bytes + at, step < size - at ? step : size - at);
	if (!(how & 2)) {
		shutdown(t.fd, SHUT_WR);
		for (int i = 0; !t.cut && i < 1000; i++)
			pump(&t);
		assert(t.cut);
	}
	close(t.fd);
	check_nothing_is_left();
	return t.got;
}

/* The answers */

struct answer {
	int status;
	bool close;
	const char *at;     /* status line and the rest, but for the date */
	struct buffer text;
};

static const char *find_field(const char *head, const char *end, const char *name)
{
	size_t n = strlen(name);

	for (const char *s = head; s < end; s = memchr(s, '\n', (size_t)(end - s)) + 1)
		if (strncasecmp(s, name, n) == 0 && s[n] == ':')
			return s + n + 2;
	return NULL;
}

/* Chunks of ours, or a sized body; returns its end. */
static const char *skip_body(const char *head, const char *body, const char *end)
{
	const char *length = find_field(head, body, "Content-Length");

	if (length)
		return body + strtoul(length, NULL, 10);
	if (!find_field(head, body, "Transfer-Encoding"))
		return find_field(head, body, "Content-Type") ? end : body;
	for (;;) {
		char *data;
		unsigned long n = strtoul(body, &data, 16);

		assert(memcmp(data, "\r\n", 2) == 0 && memcmp(data + 2 + n, "\r\n", 2) == 0);
		body = data + 4 + n;
		if (!n)
			return body;
	}
}

static void check_head(const char *at, const char *body, int status)
{
	const char *date = find_field(at, body, "Date");

	assert(status == 100 || (date && date[29] == '\r'));
	assert(status == 100 || find_field(at, body, "X-Content-Type-Options"));
	assert(status != 405 || find_field(at, body, "Allow"));
	assert(status < 400 || find_field(at, body, "Content-Length"));
}

/* The end of a body that may not be there, for all we know. */
static const char *skip_to_next(const char *body, const char *end)
{
	const char *next = body;

	while ((next = memmem(next, (size_t)(end - next), "HTTP/1.1 ", 9)) && next + 9 < end) {
		if (next[9] >= '1' && next[9] <= '5') /* else a sentence of ours */
			return next;
		next++;
	}
	return end;
}

/* The next answer of [@at, @end) as text without its date; NULL: none. */
static const char *next_answer(const char *at, const char *end, bool heads, struct answer *ret)
{
	const char *body = memmem(at, (size_t)(end - at), "\r\n\r\n", 4), *date, *next;

	if (at == end)
		return NULL;
	assert(body && memcmp(at, "HTTP/1.1 ", 9) == 0);
	body += 4;
	ret->status = (int)strtol(at + 9, NULL, 10);
	check_head(at, body, ret->status);
	date = find_field(at, body, "Date");
	next = find_field(at, body, "Connection");
	ret->close = next && strncmp(next, "close", 5) == 0;
	next = heads ? skip_to_next(body, end) : skip_body(at, body, end);
	assert(next <= end && (!ret->close || next == end));
	buffer_append(&ret->text, at, date ? (size_t)(date - at) : 0);
	date = date ? date + 29 : at;
	buffer_append(&ret->text, date, (size_t)(next - date));
	return next;
}

/* Which limit is passed first may depend on the pieces, that one is doesn't. */
static bool is_as_good(const struct answer *a, const struct answer *b, bool last)
{
	if (a->status >= 400 && b->status >= 400 && last)
		return true;
	return a->text.size == b->text.size && memcmp(a->text.data, b->text.data, a->text.size) == 0;
}

static void compare(const struct buffer *one, const struct buffer *two, bool heads)
{
	const char *a = buffer_text(one), *b = buffer_text(two), *end_a = a + one->size, *end_b = b + two->size;

	while (a && b) {
		struct answer from_a = { 0 }, from_b = { 0 };

		a = next_answer(a, end_a, heads, &from_a);
		b = next_answer(b, end_b, heads, &from_b);
		assert(!a == !b);
		assert(!a || is_as_good(&from_a, &from_b, a == end_a && b == end_b));
		buffer_fini(&from_a.text);
		buffer_fini(&from_b.text);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *text = (const char *)bytes + 2;
	struct buffer whole, pieces;

	if (size < 3 || size > MAX_SIZE)
		return 0;
	if (!ingress)
		start();
	size -= 2;
	whole = converse(text, size, size, bytes[1]);
	pieces = converse(text, size, bytes[0] ? bytes[0] : 1, bytes[1]);
	if (!(bytes[1] & 2))
		compare(&whole, &pieces, memmem(text, size, "HEAD", 4) != NULL);
	buffer_fini(&whole);
	buffer_fini(&pieces);
	return 0;
}
