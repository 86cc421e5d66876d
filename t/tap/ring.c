/* SPDX-License-Identifier: MIT */

/*
 * The ring and the link's sleeping protocol, between two threads on one anonymous mapping:
 * the code knows nothing of processes. Plain TAP, for Criterion can't run under TSan.
 */

#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ring/link.h"

#define N_MESSAGES 200000u

static int n_tests, n_failures;

static void ok(bool good, const char *sentence)
{
	printf("%s %d - %s\n", good ? "ok" : "not ok", ++n_tests, sentence);
	n_failures += !good;
}

static struct link_shared *map_link(void)
{
	void *map = mmap(NULL, sizeof(struct link_shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert(map != MAP_FAILED);
	return map;
}

static void fill_and_drain(void)
{
	struct link_shared *l = map_link();
	struct ring writer, reader;
	struct message m = { .kind = 7 }, got;
	unsigned n = 0;

	ring_init(&writer, &l->to_worker);
	ring_init(&reader, &l->to_worker);
	ok(ring_take(&reader, &got) == 0, "a fresh ring is empty");
	while (ring_put(&writer, &m) == 0)
		m.slot = ++n;
	ok(n == RING_SIZE, "a ring takes RING_SIZE messages, then says -EAGAIN");
	ok(ring_take(&reader, &got) == 0, "messages that were put are not seen before they are published");
	ring_publish(&writer);
	memset(&got, 0xa5, sizeof(got));
	ok(ring_take(&reader, &got) == 1 && got.kind == 7 && got.slot == 0, "the first message comes out first");
	ok(ring_put(&writer, &m) == -EAGAIN, "a message that was taken keeps its place until it is consumed");
	ring_consume(&reader);
	ok(ring_put(&writer, &m) == 0, "a consumed place can be filled again");
	munmap(l, sizeof(*l));
}

static void scribbled_counters(void)
{
	struct link_shared *l = map_link();
	struct ring writer, reader;
	struct message m = { .kind = 1 };

	ring_init(&writer, &l->to_worker);
	ring_init(&reader, &l->to_server);
	atomic_store(&l->to_server.tail, RING_SIZE + 1);
	ok(ring_take(&reader, &m) == -EPROTO, "a tail that is too far ahead is -EPROTO");
	atomic_store(&l->to_server.tail, UINT32_MAX);
	ok(ring_take(&reader, &m) == -EPROTO, "a tail that went back is -EPROTO");
	atomic_store(&l->to_worker.head, 5);
	ok(ring_put(&writer, &m) == -EPROTO, "a head that overtook the tail is -EPROTO");
	munmap(l, sizeof(*l));
}

struct pair {
	struct link_shared *link;
	struct ring from_server, to_server;
	uint64_t sum;
};

static bool has_work(void *context)
{
	struct pair *p = context;

	return ring_readable(&p->from_server);
}

/* A worker's loop: sleeps when there is nothing, answers each message with its own. */
static void *echo(void *context)
{
	struct pair *p = context;
	struct message m;
	uint32_t n = 0;

	while (n < N_MESSAGES) {
		while (ring_take(&p->from_server, &m) == 1) {
			ring_consume(&p->from_server);
			p->sum += m.offset;
			while (ring_put(&p->to_server, &m) == -EAGAIN)
				;
			ring_publish(&p->to_server);
			n++;
		}
		if (n < N_MESSAGES && !has_work(p))
			link_worker_sleep(p->link, has_work, p, 0);
	}
	return NULL;
}

static void no_wakeup_is_lost(void)
{
	struct pair p = { .link = map_link() };
	struct ring to_worker, from_worker;
	uint64_t sum = 0, back = 0;
	uint32_t sent = 0, received = 0;
	struct message m;
	pthread_t thread;
	bool in_order = true;

	ring_init(&p.from_server, &p.link->to_worker);
	ring_init(&p.to_server, &p.link->to_server);
	ring_init(&to_worker, &p.link->to_worker);
	ring_init(&from_worker, &p.link->to_server);
	pthread_create(&thread, NULL, echo, &p);
	while (received < N_MESSAGES) {
		unsigned burst = sent % 7 + 1;

		while (sent < N_MESSAGES && burst--) {
			if (ring_put(&to_worker, &(struct message){ .slot = sent, .offset = sent * 3u }) < 0)
				break;
			sum += sent++ * 3u;
		}
		ring_publish(&to_worker);
		link_wake_worker(p.link);
		while (ring_take(&from_worker, &m) == 1) {
			ring_consume(&from_worker);
			in_order &= m.slot == received++;
			back += m.offset;
		}
	}
	pthread_join(thread, NULL);
	ok(in_order, "200,000 messages come back in order, over a worker that sleeps whenever it can");
	ok(p.sum == sum && back == sum, "and none of them was torn");
	munmap(p.link, sizeof(*p.link));
}

struct grant {
	struct link_shared *link;
	uint64_t offset, size;
};

static void *await(void *context)
{
	struct grant *g = context;

	link_await_grant(g->link, 1, &g->offset, &g->size);
	return NULL;
}

static void a_grant_reaches_who_waits(void)
{
	struct grant g = { .link = map_link() };
	pthread_t thread;

	pthread_create(&thread, NULL, await, &g);
	link_grant(g.link, 4096, 64);
	pthread_join(thread, NULL);
	ok(g.offset == 4096 && g.size == 64, "a grant reaches the one who waits for it");
	munmap(g.link, sizeof(*g.link));
}

int main(void)
{
	puts("TAP version 13");
	fill_and_drain();
	scribbled_counters();
	no_wakeup_is_lost();
	a_grant_reaches_who_waits();
	printf("1..%d\n", n_tests);
	return n_failures != 0;
}
