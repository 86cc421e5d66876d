/* SPDX-License-Identifier: MIT */

/*
 * Large calls are copied by a thread while the loop goes on recording, holding, dropping. Plain TAP,
 * for Criterion can't run under TSan.
 */

#undef NDEBUG
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "infer/signature.h"
#include "record/recorder.h"

#define N_LARGE 200
#define LARGE (200u << 10)
#define SMALL 256u

static struct recorders all = { .limit = 4 << 20, .each = 2 << 20 };
static struct recorder recorder;
static struct signature *signature;
static char memory[LARGE];
static int n_tests, n_failures;

static void ok(bool good, const char *sentence)
{
	printf("%s %d - %s\n", good ? "ok" : "not ok", ++n_tests, sentence);
	n_failures += !good;
}

/* One tensor, of the first @size bytes of the memory. */
static struct recorder_call call_of(uint64_t size)
{
	return (struct recorder_call){ .base = memory, .signature = signature, .kind = size, .batch = 1, .n_in = 1,
				       .tensors = { { .size = size, .rank = 1, .shape = { (int64_t)size },
						      .dtype = DEVSERVE_UINT8 } } };
}

struct copying {
	struct recorder_call call;
	struct recorded *to;
	atomic_bool over;
};

static void *copy(void *context)
{
	struct copying *c = context;

	recorder_copy(&recorder, c->to, &c->call);
	atomic_store(&c->over, true);
	return NULL;
}

static void record_small(void)
{
	struct recorder_call c = call_of(SMALL);
	struct recorded *d = recorder_reserve(&recorder, &c);

	if (!d)
		return;
	recorder_copy(&recorder, d, &c);
	recorder_keep(&recorder, d);
}

/* What the loop does meanwhile. */
static void go_on(unsigned i)
{
	struct recorder_view v;

	record_small();
	recorder_hold(&recorder, signature, 4, &v);
	if (i % 64 == 63)
		recorder_clear(&recorder);
	recorder_release(&recorder, &v);
}

static bool is_true(const struct recorder_view *v, unsigned i)
{
	const struct call_tensor *t = &recorder_at(v, i)->tensors[0];
	const char *bytes = v->base + t->offset;

	for (uint64_t k = 1; k < t->size; k++)
		if (bytes[k] != bytes[0])
			return false;
	return true;
}

static bool all_are_true(void)
{
	struct recorder_view v;
	bool good = true;

	recorder_hold(&recorder, signature, RECORDER_MAX, &v);
	for (unsigned i = 0; i < v.n; i++)
		good &= is_true(&v, i);
	recorder_release(&recorder, &v);
	return good;
}

static void copy_beside_the_loop(void)
{
	unsigned n = 0, n_seen = 0;
	bool good = true;

	for (unsigned i = 0; i < N_LARGE; i++) {
		struct copying c = { .call = call_of(LARGE), .over = false };
		pthread_t thread;

		memset(memory, (int)i, sizeof(memory));
		c.to = recorder_reserve(&recorder, &c.call);
		if (!c.to)
			continue;
		n++;
		assert(pthread_create(&thread, NULL, copy, &c) == 0);
		for (unsigned k = 0; k < 10 || !atomic_load(&c.over); k++)
			go_on(k);
		pthread_join(thread, NULL);
		recorder_keep(&recorder, c.to);
		good &= all_are_true();
		n_seen += recorder.recorded[0].offset != 0;
	}
	ok(n == N_LARGE && n_seen, "there is always room for another large call");
	ok(good, "what is copied beside the loop is shown when it is whole, and never half");
}

int main(void)
{
	signature = signature_new();
	recorder_init(&recorder, &all);
	copy_beside_the_loop();
	recorder_fini(&recorder);
	ok(all.used == 0, "nothing is left");
	signature_unref(signature);
	printf("1..%d\n", n_tests);
	return n_failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
