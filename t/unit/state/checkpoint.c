/* SPDX-License-Identifier: MIT */
#include "state/checkpoint.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#define WORDS 8192 /* as large as one that is written after each call may be */
#define READS 10000

struct writing {
	struct checkpoint_writer *writer;
	atomic_bool over;
};

/* All words of a state are the same. */
static void write_one(struct checkpoint_writer *w, uint64_t value)
{
	static _Thread_local uint64_t state[WORDS];

	for (size_t i = 0; i < WORDS; i++)
		state[i] = value;
	cr_assert_eq(checkpoint_write(w, state), 0);
}

/* As one that serves does, between calls. */
static void *write_on(void *context)
{
	struct writing *w = context;

	for (uint64_t value = 2; !w->over; value++) {
		write_one(w->writer, value);
		usleep(50); /* a call: who writes all the time may have it that a mixture is read */
	}
	return NULL;
}

static bool is_of_one(const uint64_t *state)
{
	for (size_t i = 1; i < WORDS; i++)
		if (state[i] != state[0])
			return false;
	return true;
}

Test(checkpoint, what_is_read_is_of_one_moment_though_others_are_written_meanwhile)
{
	char directory[] = "/tmp/checkpoint-XXXXXX", path[64], why[256];
	struct writing w = { .over = false };
	unsigned n_torn = 0;
	pthread_t thread;

	cr_assert(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/0", directory);
	cr_assert_eq(checkpoint_writer_new(path, WORDS * sizeof(uint64_t), 1, NULL, &w.writer), 0);
	write_one(w.writer, 1);
	cr_assert_eq(pthread_create(&thread, NULL, write_on, &w), 0);
	for (unsigned i = 0; i < READS; i++) {
		static _Thread_local uint64_t state[WORDS];
		struct checkpoint c;

		cr_assert_eq(checkpoint_open(path, &c, why, sizeof(why)), 0);
		cr_assert_eq(checkpoint_read(&c, state), 0);
		n_torn += !is_of_one(state);
		checkpoint_close(&c);
	}
	w.over = true;
	pthread_join(thread, NULL);
	checkpoint_writer_free(w.writer);
	unlink(path);
	rmdir(directory);
	cr_expect_eq(n_torn, 0, "%u of %d", n_torn, READS);
}
