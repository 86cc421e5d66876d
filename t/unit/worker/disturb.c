/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
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

#ifdef __x86_64__
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
