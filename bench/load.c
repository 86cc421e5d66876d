/* SPDX-License-Identifier: MIT */

/*
 * load [options] PORT REQUEST: send one request over and over to 127.0.0.1:PORT.
 *
 *	-c N       connections, kept alive, one request at a time on each (1)
 *	-d SECONDS measure that long (1); 0: until SIGTERM or SIGINT
 *	-n N       and no more than N answers (0: no such end)
 *	-w SECONDS before measuring (0)
 *	-r RATE    open loop: RATE requests a second, whatever the answers do; the time
 *	           of a request that found no free connection counts from when it was due.
 *	           0: closed loop, the next request follows the answer (0)
 *	-b BYTES   every answer must have that many bytes of body (0: as many as the first)
 *	-p CPU     run on that processor
 *	-l FILE    write of each answer 16 bytes: u64 CLOCK_MONOTONIC ns at which its first
 *	           byte was read, u64 the X-Devserve-Generation in it
 *
 * REQUEST is a file with the whole request, head and body. An answer that is not 200, or of
 * another size, or a connection that ends makes it stop with status 1 and a sentence.
 * At the end it prints one line of JSON.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

#define PATIENCE_MS 10000 /* without any answer */

struct answer {
	char head[4096];
	size_t head_size;    /* bytes of it so far */
	uint64_t left;       /* bytes of body still to come */
	uint64_t first_ns;   /* when its first byte was read */
	uint64_t generation; /* 0: not named */
	bool in_body;
};

struct connection {
	TAILQ_ENTRY(connection) entry; /* of load.idle */
	int fd;
	bool wants_room;   /* EPOLLOUT is on: the socket took only a part of the request */
	size_t sent;       /* of the request */
	uint64_t since_ns; /* sent, or due */
	struct answer answer;
};

struct entry { /* of the log */
	uint64_t ns, generation;
};

struct load {
	/* options */
	int port, n_connections, cpu;
	double seconds, warm_s, rate;
	uint64_t n_max, body_size;
	const char *log_path;
	/* the request */
	const char *request;
	size_t request_size;
	/* what happens */
	int epoll, timer;
	struct connection *connections;
	TAILQ_HEAD(, connection) idle; /* open loop only */
	uint64_t n_due, n_sent, first_due_ns;
	uint64_t start_ns, end_ns; /* of measuring */
	bool done;
	/* what came of it */
	uint64_t n, n_all, room, last_ns, first_ns, gap_ns, head_size;
	uint32_t *took_ns;
	struct entry *log;
};

static volatile sig_atomic_t interrupted;
static char bytes[65536]; /* of any connection: a body isn't kept */

static void on_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *format, ...)
{
	va_list args;

	fputs("load: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* Sending */

static void watch(struct load *l, struct connection *c, bool room)
{
	struct epoll_event e = { .events = EPOLLIN | (room ? EPOLLOUT : 0u), .data.ptr = c };

	if (c->wants_room == room)
		return;
	c->wants_room = room;
	epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &e);
}

static void send_more(struct load *l, struct connection *c)
{
	ssize_t n = send(c->fd, l->request + c->sent, l->request_size - c->sent, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		die("sending: %s", strerror(errno));
	if (n > 0)
		c->sent += (size_t)n;
	watch(l, c, c->sent < l->request_size);
}

static void send_request(struct load *l, struct connection *c, uint64_t since_ns)
{
	c->since_ns = since_ns;
	c->sent = 0;
	c->answer.head_size = 0;
	c->answer.in_body = false;
	send_more(l, c);
}

/* Open loop: as many as are due, as far as there are connections. */
static void send_due(struct load *l)
{
	struct connection *c;

	while (l->n_sent < l->n_due && (c = TAILQ_FIRST(&l->idle))) {
		TAILQ_REMOVE(&l->idle, c, entry);
		send_request(l, c, l->first_due_ns + (uint64_t)((double)l->n_sent++ * 1e9 / l->rate));
	}
}

static void on_timer(struct load *l)
{
	uint64_t expired;

	if (read(l->timer, &expired, sizeof(expired)) == sizeof(expired))
		l->n_due += expired;
	send_due(l);
}

/* Answers */

static uint64_t header_number(const char *head, const char *name, uint64_t otherwise)
{
	size_t size = strlen(name);

	for (const char *line = head; (line = strchr(line, '\n')); ) {
		if (strncasecmp(++line, name, size) == 0)
			return strtoull(line + size, NULL, 10);
	}
	return otherwise;
}

static void begin_body(struct load *l, struct answer *a)
{
	uint64_t size;

	if (strncmp(a->head, "HTTP/1.1 200 ", 13) != 0)
		die("an answer that isn't 200:\n%s", a->head);
	size = header_number(a->head, "content-length:", UINT64_MAX);
	if (size == UINT64_MAX)
		die("an answer without Content-Length:\n%s", a->head);
	if (!l->body_size)
		l->body_size = size;
	if (size != l->body_size)
		die("a body of %" PRIu64 " bytes instead of %" PRIu64, size, l->body_size);
	l->head_size = a->head_size;
	a->generation = header_number(a->head, "x-devserve-generation:", 0);
	a->left = size;
	a->in_body = true;
}

/* Keep of the @n bytes read those that are head; returns how many those were. */
static size_t take_head(struct load *l, struct answer *a, size_t n)
{
	size_t before = a->head_size;
	size_t room = sizeof(a->head) - 1 - before;
	size_t more = n < room ? n : room;
	char *end;

	memcpy(a->head + before, bytes, more);
	a->head[before + more] = '\0';
	end = strstr(a->head + (before > 3 ? before - 3 : 0), "\r\n\r\n");
	if (!end && more < n)
		die("an answer whose head has no end");
	if (!end) {
		a->head_size = before + more;
		return more;
	}
	end[2] = '\0';
	a->head_size = (size_t)(end + 4 - a->head);
	begin_body(l, a);
	return a->head_size - before;
}

static void make_room(struct load *l)
{
	l->room = l->room ? 2 * l->room : 65536;
	l->took_ns = xrealloc(l->took_ns, l->room * sizeof(*l->took_ns));
	if (l->log_path)
		l->log = xrealloc(l->log, l->room * sizeof(*l->log));
}

static void count(struct load *l, const struct connection *c, uint64_t now)
{
	uint64_t took = now - c->since_ns;

	if (l->n == l->room)
		make_room(l);
	l->took_ns[l->n] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
	if (l->log)
		l->log[l->n] = (struct entry){ c->answer.first_ns, c->answer.generation };
	if (l->n && now - l->last_ns > l->gap_ns)
		l->gap_ns = now - l->last_ns;
	if (!l->n)
		l->first_ns = now;
	l->last_ns = now;
	l->n++;
}

static void on_answer(struct load *l, struct connection *c, uint64_t now)
{
	l->n_all++;
	if (now >= l->start_ns && now < l->end_ns)
		count(l, c, now);
	l->done = now >= l->end_ns || (l->n_max && l->n == l->n_max);
	if (l->done)
		return;
	if (l->rate > 0) {
		TAILQ_INSERT_TAIL(&l->idle, c, entry);
		send_due(l);
	} else {
		send_request(l, c, now);
	}
}

static void on_readable(struct load *l, struct connection *c)
{
	struct answer *a = &c->answer;
	ssize_t n = read(c->fd, bytes, sizeof(bytes));
	uint64_t now = clock_ns();
	size_t rest;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die("the server closed a connection%s%s", n ? ": " : "", n ? strerror(errno) : "");
	if (!a->in_body && !a->head_size)
		a->first_ns = now;
	rest = (size_t)n;
	if (!a->in_body)
		rest -= take_head(l, a, rest);
	if (!a->in_body)
		return;
	if (rest > a->left || c->sent < l->request_size)
		die("more bytes than were asked for");
	a->left -= rest;
	if (a->left == 0)
		on_answer(l, c, now);
}

/* Running */

static void connect_one(struct load *l, struct connection *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)l->port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("port %d: %s", l->port, strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e);
}

static void start_timer(struct load *l)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };
	long ns = (long)(1e9 / l->rate);
	struct itimerspec every = { .it_interval = { ns / 1000000000, ns % 1000000000 },
				    .it_value = { ns / 1000000000, ns % 1000000000 } };

	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	l->first_due_ns = clock_ns() + (uint64_t)ns;
	timerfd_settime(l->timer, 0, &every, NULL);
	epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->timer, &e);
}

static void start(struct load *l)
{
	uint64_t now;

	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->connections = xcalloc((size_t)l->n_connections, sizeof(*l->connections));
	TAILQ_INIT(&l->idle);
	for (int i = 0; i < l->n_connections; i++) {
		connect_one(l, &l->connections[i]);
		TAILQ_INSERT_TAIL(&l->idle, &l->connections[i], entry);
	}
	now = clock_ns();
	l->start_ns = now + (uint64_t)(l->warm_s * 1e9);
	l->end_ns = l->seconds > 0 ? l->start_ns + (uint64_t)(l->seconds * 1e9) : UINT64_MAX;
	if (l->rate > 0)
		start_timer(l);
	for (int i = 0; i < l->n_connections && l->rate <= 0; i++)
		send_request(l, &l->connections[i], now);
}

static void run(struct load *l)
{
	struct epoll_event events[64];

	while (!l->done && !interrupted) {
		int n = epoll_wait(l->epoll, events, ARRAY_SIZE(events), PATIENCE_MS);

		if (n == 0)
			die("no answer within %d s", PATIENCE_MS / 1000);
		for (int i = 0; i < n && !l->done; i++) {
			struct connection *c = events[i].data.ptr;

			if (!c)
				on_timer(l);
			if (c && events[i].events & EPOLLOUT)
				send_more(l, c);
			if (c && events[i].events & ~(uint32_t)EPOLLOUT)
				on_readable(l, c);
		}
	}
}

/* Telling */

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double quantile_us(const struct load *l, double q)
{
	return l->n ? l->took_ns[(uint64_t)((double)(l->n - 1) * q + 0.5)] / 1e3 : 0;
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* The rate counts the intervals between the first answer and the last. */
static void tell(struct load *l)
{
	double seconds = (double)(l->last_ns - l->first_ns) / 1e9;

	if (l->n)
		qsort(l->took_ns, l->n, sizeof(*l->took_ns), compare);
	printf("{\"answers\": %" PRIu64 ", \"all_answers\": %" PRIu64 ", \"seconds\": %.6f, \"per_second\": %.2f, "
	       "\"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, \"max_gap_us\": %.1f, "
	       "\"request_bytes\": %zu, \"head_bytes\": %" PRIu64 ", \"body_bytes\": %" PRIu64 ", "
	       "\"client_cpu_s\": %.3f}\n",
	       l->n, l->n_all, seconds, seconds > 0 ? (double)(l->n - 1) / seconds : 0, quantile_us(l, .5),
	       quantile_us(l, .99), quantile_us(l, 1), (double)l->gap_ns / 1e3, l->request_size,
	       l->head_size, l->body_size, cpu_seconds());
}

static void write_log(const struct load *l)
{
	FILE *f = fopen(l->log_path, "we");

	if (!f || fwrite(l->log, sizeof(*l->log), l->n, f) != l->n || fclose(f) != 0)
		die("%s: %s", l->log_path, strerror(errno));
}

/* Starting */

static void read_request(struct load *l, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *map;

	if (fd < 0 || fstat(fd, &st) < 0)
		die("%s: %s", path, strerror(errno));
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		die("%s: %s", path, strerror(errno));
	l->request = map;
	l->request_size = (size_t)st.st_size;
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		die("processor %d: %s", cpu, strerror(errno));
}

static void parse_options(struct load *l, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "c:d:n:w:r:b:p:l:")) != -1) {
		switch (c) {
		case 'c': l->n_connections = (int)strtol(optarg, NULL, 10); break;
		case 'd': l->seconds = strtod(optarg, NULL); break;
		case 'n': l->n_max = strtoull(optarg, NULL, 10); break;
		case 'w': l->warm_s = strtod(optarg, NULL); break;
		case 'r': l->rate = strtod(optarg, NULL); break;
		case 'b': l->body_size = strtoull(optarg, NULL, 10); break;
		case 'p': l->cpu = (int)strtol(optarg, NULL, 10); break;
		case 'l': l->log_path = optarg; break;
		default: exit(2);
		}
	}
	if (argc - optind != 2 || l->n_connections < 1) {
		fprintf(stderr, "usage: load [-c N] [-d S] [-n N] [-w S] [-r RATE] [-b BYTES] "
				"[-p CPU] [-l FILE] PORT REQUEST\n");
		exit(2);
	}
	l->port = (int)strtol(argv[optind], NULL, 10);
	read_request(l, argv[optind + 1]);
}

int main(int argc, char **argv)
{
	static struct load l = { .n_connections = 1, .cpu = -1, .seconds = 1 };
	const struct sigaction end = { .sa_handler = on_signal };

	parse_options(&l, argc, argv);
	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	if (l.cpu >= 0)
		run_on(l.cpu);
	start(&l);
	run(&l);
	tell(&l);
	if (l.log_path)
		write_log(&l);
	return 0;
}
