/* SPDX-License-Identifier: MIT */

/*
 * The best of a few short runs counts: what else the machine does can only make them slower. All
 * threads start a run together and each goes on for its time, so that none ever has the memory for
 * itself. Bytes are those that are read and written; whichever is most of reading, copying and
 * filling is the peak, as nobody knows beforehand what a kernel will do.
 */

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "peaks/kernels.h"
#include "peaks/machine.h"
#include "peaks/others.h"
#include "peaks/peaks.h"

#define RUN_NS (15 * NS_PER_MS)
#define RUNS 4
#define MAX_THREADS 256
#define AT_ONCE (UINT64_C(4) << 20)    /* bytes, before the clock is asked again */
#define ROOM (UINT64_C(256) << 20)     /* of one thread, where no cache is to hold it; all share that, */
#define ROOM_MORE (UINT64_C(8) << 20)  /* and have so much more each */
#define MAX_LAST_CACHE (UINT64_C(32) << 20) /* of a thread: a guest is told of the host's as if it were its own */

struct load {
	double (*go)(const struct load *l, char *room); /* how much was done: operations, or bytes */
	uint64_t n;   /* rounds */
	size_t size;  /* bytes of `room` that it works in */
};

struct thread {
	pthread_t thread;
	const struct load *load;
	pthread_barrier_t *start;
	char *room;
	double per_second;
};

static double go_fp32(const struct load *l, char *room)
{
	(void)room;
	return kernel_fp32(l->n);
}

static double go_fp64(const struct load *l, char *room)
{
	(void)room;
	return kernel_fp64(l->n);
}

static double go_read(const struct load *l, char *room)
{
	for (uint64_t i = 0; i < l->n; i++)
		kernel_read(room, l->size);
	return (double)l->n * (double)l->size;
}

static double go_copy(const struct load *l, char *room)
{
	for (uint64_t i = 0; i < l->n; i++) {
		memcpy(room, room + l->size / 2, l->size / 2);
		__asm__ volatile("" : : "r"(room) : "memory");
	}
	return (double)l->n * (double)l->size;
}

static double go_fill(const struct load *l, char *room)
{
	for (uint64_t i = 0; i < l->n; i++) {
		memset(room, 1, l->size);
		__asm__ volatile("" : : "r"(room) : "memory");
	}
	return (double)l->n * (double)l->size;
}

static void *run_thread(void *context)
{
	struct thread *t = context;
	uint64_t started, now;
	double done = 0;

	t->load->go(t->load, t->room);
	pthread_barrier_wait(t->start);
	started = clock_ns();
	do {
		done += t->load->go(t->load, t->room);
		now = clock_ns();
	} while (now - started < RUN_NS);
	t->per_second = done / ((double)(now - started) / NS_PER_S);
	return NULL;
}

/* What @n threads do together in a second. */
static double run(const struct load *load, unsigned n, char *room, size_t each)
{
	struct thread threads[MAX_THREADS];
	pthread_barrier_t start;
	unsigned begun = 0;
	double sum = 0;

	pthread_barrier_init(&start, NULL, n);
	for (unsigned i = 0; i < n; i++) {
		threads[i] = (struct thread){ .load = load, .start = &start, .room = room ? room + i * each : NULL };
		if (i + 1 < n && pthread_create(&threads[i].thread, NULL, run_thread, &threads[i]) != 0)
			abort(); /* the others wait for it */
		begun += i + 1 < n;
	}
	run_thread(&threads[n - 1]);
	sum = threads[n - 1].per_second;
	for (unsigned i = 0; i < begun; i++) {
		pthread_join(threads[i].thread, NULL);
		sum += threads[i].per_second;
	}
	pthread_barrier_destroy(&start);
	return sum;
}

static void improve(double *best, const struct load *load, unsigned n, char *room, size_t each)
{
	for (unsigned i = 0; i < RUNS; i++) {
		double now = run(load, n, room, each);

		*best = now > *best ? now : *best;
	}
}

static struct peak measure_flops(double (*go)(const struct load *l, char *room), unsigned threads)
{
	const struct load load = { .go = go, .n = 20000 };
	struct peak p = { .one = 0 };

	improve(&p.one, &load, 1, NULL, 0);
	improve(&p.all, &load, threads, NULL, 0);
	return p;
}

static uint64_t cache_size(int name, uint64_t fallback)
{
	long size = sysconf(name);

	return size > 0 ? (uint64_t)size : fallback;
}

static void add_level(struct peaks *p, const char *name, uint64_t size)
{
	struct peaks_level *l = &p->levels[p->n_levels];

	if (p->n_levels && size <= p->levels[p->n_levels - 1].size)
		return;
	snprintf(l->name, sizeof(l->name), "%s", name);
	l->size = size;
	p->n_levels++;
}

static void list_levels(struct peaks *p)
{
	uint64_t last = cache_size(_SC_LEVEL3_CACHE_SIZE, 0) / p->threads;

	add_level(p, "L1", cache_size(_SC_LEVEL1_DCACHE_SIZE, 32 << 10));
	add_level(p, "L2", cache_size(_SC_LEVEL2_CACHE_SIZE, 1 << 20));
	add_level(p, "L3", last < MAX_LAST_CACHE ? last : MAX_LAST_CACHE);
	add_level(p, "memory", UINT64_MAX);
}

/* Half of a cache, for it holds other things, too; of memory what no cache holds. */
static struct load load_of(double (*go)(const struct load *l, char *room), const struct peaks_level *l, size_t most)
{
	size_t size = (l->size / 2 < most ? (size_t)(l->size / 2) : most) & ~(size_t)511;

	return (struct load){ .go = go, .size = size, .n = size < AT_ONCE ? AT_ONCE / size : 1 };
}

static void measure_bytes(struct peaks *p, char *room, size_t each)
{
	static double (*const ways[])(const struct load *l, char *room) = { go_read, go_copy, go_fill };

	for (unsigned i = 0; i < p->n_levels; i++) {
		struct peaks_level *l = &p->levels[i];

		for (size_t k = 0; k < ARRAY_SIZE(ways); k++) {
			struct load one = load_of(ways[k], l, ROOM), all = load_of(ways[k], l, each);

			improve(&l->bytes.one, &one, 1, room, each);
			improve(&l->bytes.all, &all, p->threads, room, each);
		}
	}
}

void peaks_measure(struct peaks *ret)
{
	_cleanup_free_ char *name = machine_name();
	unsigned cpus = machine_cpus();
	struct peaks p = { .threads = cpus < MAX_THREADS ? cpus : MAX_THREADS };
	size_t each = (ROOM / p.threads & ~(size_t)4095) + ROOM_MORE, size = each * p.threads;
	char *room = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct others others;

	others_begin(&others);
	snprintf(p.machine, sizeof(p.machine), "%s", name);
	p.fp32 = measure_flops(go_fp32, p.threads);
	p.fp64 = measure_flops(go_fp64, p.threads);
	list_levels(&p);
	if (room == MAP_FAILED) {
		p.n_levels = 0;
	} else {
		madvise(room, size, MADV_HUGEPAGE);
		memset(room, 1, size);
		measure_bytes(&p, room, each);
		munmap(room, size);
	}
	p.others = others_share(&others);
	*ret = p;
}
