/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "worker/disturb.h"

static _Atomic int sleeper;

static void *sleep_a_while(void *ret)
{
	atomic_store(&sleeper, (int)syscall(SYS_gettid));
	*(int *)ret = nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL) ? errno : 0;
	return NULL;
}

static bool sleeps(int thread)
{
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", thread);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	if (f)
		fclose(f);
	return state == 'S';
}

/* In place of libc's: who makes one may have to wait, and they are counted. */

static _Atomic int late, waits, n_timers;

int timer_create(clockid_t clock, struct sigevent *restrict event, timer_t *restrict ret)
{
	int id;

	if ((int)syscall(SYS_gettid) == late) {
		atomic_store(&waits, 1);
		while (waits)
			sched_yield();
	}
	if (syscall(SYS_timer_create, clock, event, &id) < 0)
		return -1;
	*ret = (timer_t)(intptr_t)id;
	n_timers++;
	return 0;
}

int timer_delete(timer_t timer)
{
	int r = (int)syscall(SYS_timer_delete, (int)(intptr_t)timer);

	n_timers -= r == 0;
	return r;
}

static void *begin_late(void *context)
{
	late = (int)syscall(SYS_gettid);
	disturb_thread();
	return context;
}

static void *begin(void *context)
{
	disturb_thread();
	return context;
}

#ifdef __x86_64__
Test(disturb, a_thread_that_begins_while_its_call_ends_leaves_no_timer)
{
	pthread_t first, second;

	disturb_begin(200000000);
	pthread_create(&first, NULL, begin_late, NULL);
	while (!waits)
		sched_yield();
	disturb_end();
	disturb_begin(200000000);
	pthread_create(&second, NULL, begin, NULL);
	pthread_join(second, NULL);
	cr_expect_eq(n_timers, 2);
	waits = 0;
	pthread_join(first, NULL);
	disturb_end();
	cr_expect_eq(n_timers, 0, "%d", n_timers);
}

Test(disturb, a_signal_that_comes_when_the_call_is_over_interrupts_nothing)
{
	pthread_t thread;
	int error = -1;

	disturb_begin(1000);
	cr_assert(disturb_end());
	pthread_create(&thread, NULL, sleep_a_while, &error);
	while (!sleeper || !sleeps(sleeper))
		sched_yield();
	pthread_kill(thread, SIGRTMAX);
	pthread_join(thread, NULL);
	cr_expect_eq(error, 0, "%d", error);
}
#endif
