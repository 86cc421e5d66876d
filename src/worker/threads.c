/* SPDX-License-Identifier: MIT */

/*
 * Who calls pthread_create() is told by the return address: libraries that were there before
 * the first image keep their threads to themselves. Everybody else's belong to the image on
 * whose behalf the caller runs, also where libstdc++ stands between. (Ranges are noted once:
 * asking the loader would take its lock, which a constructor that waits for a thread holds.)
 *
 * A thread is counted down by the destructor of a key, since that runs after the C++ ones and
 * also after pthread_exit() and cancellation; in a late round of them, for the image may have
 * keys of its own.
 */

#include "worker/threads.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "ring/crash.h"
#include "worker/crash.h"
#include "worker/disturb.h"

#define MAX_HELD 64
#define GRACE_NS (100 * NS_PER_MS)

typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

struct threads {
	_Atomic uint32_t n; /* a futex */
};

struct start {
	void *(*run)(void *);
	thrd_start_t run_c11; /* instead of `run` */
	void *argument;
	struct threads *threads; /* NULL: nobody's */
	bool catch;              /* not one of our own, which see to it themselves */
};

struct ending {
	struct threads *threads;
	unsigned round;
};

static struct held {
	uintptr_t base, start, end;
} held[MAX_HELD];
static _Atomic unsigned n_held; /* grows when all of the new one is written */

static struct threads unknown; /* started where nobody had entered: may be anybody's */
static _Thread_local struct threads *current;
static _Thread_local struct ending ending;
static pthread_key_t ending_key, pin_key;

struct threads *threads_new(void)
{
	return xcalloc(1, sizeof(struct threads));
}

struct threads *threads_free(struct threads *t)
{
	free(t);
	return NULL;
}

void threads_enter(struct threads *t)
{
	current = t;
}

static void on_end(void *context)
{
	struct ending *e = context;

	if (++e->round < PTHREAD_DESTRUCTOR_ITERATIONS - 1) {
		pthread_setspecific(ending_key, e);
		return;
	}
	atomic_fetch_sub(&e->threads->n, 1);
	syscall(SYS_futex, &e->threads->n, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* libstdc++ starts threads for others, wherever it was when. */
static bool starts_for_others(const char *path)
{
	return strstr(path, "/libstdc++.so") != NULL;
}

static bool is_noted(uintptr_t base)
{
	for (unsigned i = 0; i < n_held; i++)
		if (held[i].base == base)
			return true;
	return false;
}

/* @context: what its path must have in it; NULL: anything. */
static int note(struct dl_phdr_info *info, size_t size, void *context)
{
	struct held *h = &held[n_held];

	(void)size;
	if (n_held == MAX_HELD || starts_for_others(info->dlpi_name))
		return 0;
	if (context && (!strstr(info->dlpi_name, context) || is_noted(info->dlpi_addr)))
		return 0;
	*h = (struct held){ .base = info->dlpi_addr, .start = UINTPTR_MAX };
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + p->p_vaddr;

		if (p->p_type != PT_LOAD)
			continue;
		h->start = start < h->start ? start : h->start;
		h->end = start + p->p_memsz > h->end ? start + p->p_memsz : h->end;
	}
	n_held++;
	return 0;
}

static void on_pinned_end(void *who)
{
	fprintf(stderr, "%s ended its thread, as pthread_exit() does; it must return\n", (const char *)who);
	_exit(1);
}

void threads_hold(void)
{
	if (pthread_key_create(&ending_key, on_end) == 0 &&
	    pthread_key_create(&pin_key, on_pinned_end) == 0)
		dl_iterate_phdr(note, NULL);
}

void threads_hold_also(const char *part)
{
	dl_iterate_phdr(note, (void *)part);
}

void threads_pin(const char *who)
{
	pthread_setspecific(pin_key, who);
}

static bool lies_in(const struct held *h, uintptr_t address)
{
	return address >= h->start && address < h->end;
}

static bool is_held(uintptr_t address)
{
	for (unsigned i = 0; i < n_held; i++)
		if (lies_in(&held[i], address))
			return true;
	return n_held == 0;
}

/* The loader lists the program first. */
static bool is_ours(uintptr_t address)
{
	return n_held == 0 || lies_in(&held[0], address);
}

static void *run(void *context)
{
	struct start start = *(struct start *)context;

	free(context);
	if (start.catch) {
		crash_enter_thread(CRASH_OTHER);
		disturb_thread();
	}
	current = start.threads;
	if (start.threads) {
		ending.threads = start.threads;
		pthread_setspecific(ending_key, &ending);
	}
	if (start.run_c11)
		return (void *)(intptr_t)start.run_c11(start.argument);
	return start.run(start.argument);
}

static create_fn *next_create(void)
{
	static void *_Atomic next;
	void *found = atomic_load(&next);
	create_fn *ret;

	if (!found) {
		found = dlsym(RTLD_NEXT, "pthread_create");
		atomic_store(&next, found);
	}
	memcpy(&ret, &found, sizeof(ret));
	return ret;
}

static int create(pthread_t *ret, const pthread_attr_t *attributes, struct start start, const void *caller)
{
	create_fn *real = next_create();
	struct start *copy;
	int e;

	if (!is_held((uintptr_t)caller))
		start.threads = current ? current : &unknown;
	start.catch = !is_ours((uintptr_t)caller);
	copy = malloc(sizeof(*copy));
	if (!copy)
		return EAGAIN;
	*copy = start;
	if (start.threads)
		atomic_fetch_add(&start.threads->n, 1);
	e = real(ret, attributes, run, copy);
	if (e && start.threads)
		atomic_fetch_sub(&start.threads->n, 1);
	if (e)
		free(copy);
	return e;
}

int threads_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*function)(void *), void *argument)
{
	return create(ret, attributes, (struct start){ .run = function, .argument = argument },
		      __builtin_return_address(0));
}

int threads_create_c11(thrd_t *ret, thrd_start_t function, void *argument)
{
	int e = create(ret, NULL, (struct start){ .run_c11 = function, .argument = argument },
		       __builtin_return_address(0));

	return e == 0 ? thrd_success : e == ENOMEM ? thrd_nomem : thrd_error;
}

unsigned threads_left(struct threads *t)
{
	uint64_t deadline = clock_ns() + GRACE_NS;
	uint32_t n;

	while ((n = atomic_load(&t->n)) && clock_ns() < deadline)
		syscall(SYS_futex, &t->n, FUTEX_WAIT_PRIVATE, n,
			&(struct timespec){ .tv_nsec = GRACE_NS / 10 }, NULL, 0);
	return n + atomic_load(&unknown.n);
}
