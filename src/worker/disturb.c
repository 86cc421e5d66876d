/* SPDX-License-Identifier: MIT */

/*
 * Each thread gets a timer, whose signal's handler sleeps. When it comes is drawn so that each power of two
 * of the call's time is as likely as any other: nobody knows which part of it a thread has. That a thread
 * stops somewhere is what a scheduler does to it all the time, so nothing comes out that couldn't come out
 * elsewhere; but a system call that is interrupted may say so (EINTR), and few look. Such a one is made anew:
 * its arguments are still where they were, and its number is in the instruction before. Where it isn't, what
 * the call of the plugin's does says nothing, and it isn't disturbed again.
 *
 * The handler stays: a signal may still be on its way to a thread that sleeps, whose system call is
 * made anew then, too.
 */

#include "worker/disturb.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/clock.h"

#define MOST_TIMERS 64
#define LEAST_NS NS_PER_US
#define MOST_PAUSE_NS (NS_PER_MS / 2)

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* A thread may begin while its call ends, and go on in the next one: what it makes then is nobody's but its own. */
enum { FREE, IN_THE_MAKING, MADE, UNWANTED };

static struct timer {
	timer_t timer;
	_Atomic int stage;
} timers[MOST_TIMERS];

static _Atomic bool active, tainted;
static _Atomic uint64_t chance = 1, call_time_ns;

static uint64_t draw(void)
{
	uint64_t x = atomic_fetch_add(&chance, UINT64_C(0x9e3779b97f4a7c15));

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* From LEAST_NS to @most_ns, each octave alike. */
static uint64_t draw_up_to(uint64_t most_ns)
{
	unsigned octaves = 1;
	uint64_t from;

	while (LEAST_NS << octaves < most_ns)
		octaves++;
	from = LEAST_NS << draw() % octaves;
	return from + draw() % from;
}

#ifdef __x86_64__
enum { KNOWS_SYSTEM_CALLS = true };

/* The thread is in a system call that would say EINTR: it is made anew. False: nobody knows which it was. */
static bool make_again(ucontext_t *at)
{
	static const unsigned char syscall_instruction[] = { 0x0f, 0x05 };
	enum { MOV_TO_EAX = 0xb8 };
	greg_t *r = at->uc_mcontext.gregs;
	const unsigned char *end = (const unsigned char *)r[REG_RIP];
	int32_t number;

	if (r[REG_RAX] != -EINTR || memcmp(end - 2, syscall_instruction, 2) != 0)
		return true; /* it isn't in one, or the kernel makes it anew by itself */
	if (end[-7] != MOV_TO_EAX)
		return false;
	memcpy(&number, end - 6, sizeof(number));
	r[REG_RAX] = number;
	r[REG_RIP] -= 2;
	return true;
}
#else
enum { KNOWS_SYSTEM_CALLS = false }; /* so nothing is disturbed */

static bool make_again(ucontext_t *at)
{
	(void)at;
	return false;
}
#endif

static void on_signal(int number, siginfo_t *info, void *context)
{
	int e = errno;

	(void)number, (void)info;
	if (!make_again(context))
		atomic_store(&tainted, true);
	if (!atomic_load(&active))
		return;
	clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){ .tv_nsec = (long)draw_up_to(MOST_PAUSE_NS) }, NULL);
	errno = e;
}

/* Ours, unless somebody else has taken it. */
static bool have_handler(void)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK }, before;

	if (!KNOWS_SYSTEM_CALLS || sigaction(SIGRTMAX, NULL, &before) < 0)
		return false;
	if (before.sa_flags & SA_SIGINFO && before.sa_sigaction == on_signal)
		return true;
	return !(before.sa_flags & SA_SIGINFO) && before.sa_handler == SIG_DFL && sigaction(SIGRTMAX, &action, NULL) == 0;
}

static struct timer *take_free(void)
{
	for (unsigned i = 0; i < MOST_TIMERS; i++) {
		int expected = FREE;

		if (atomic_compare_exchange_strong(&timers[i].stage, &expected, IN_THE_MAKING))
			return &timers[i];
	}
	return NULL;
}

static int make(struct timer *t)
{
	return timer_create(CLOCK_MONOTONIC,
			    &(struct sigevent){ .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMAX,
						.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid) }, &t->timer);
}

void disturb_thread(void)
{
	struct timer *t = atomic_load(&active) ? take_free() : NULL;
	int expected = IN_THE_MAKING;
	uint64_t delay_ns;

	if (!t)
		return;
	if (make(t) < 0) {
		atomic_store(&t->stage, FREE);
		return;
	}
	delay_ns = draw_up_to(atomic_load(&call_time_ns));
	timer_settime(t->timer, 0, &(struct itimerspec){ .it_value = { .tv_nsec = (long)(delay_ns % NS_PER_S) } }, NULL);
	if (!atomic_compare_exchange_strong(&t->stage, &expected, MADE)) {
		timer_delete(t->timer);
		atomic_store(&t->stage, FREE);
	}
}

/* Whose thread is making it removes it himself. */
static void drop(struct timer *t)
{
	int expected = IN_THE_MAKING;

	if (atomic_compare_exchange_strong(&t->stage, &expected, UNWANTED) || expected != MADE)
		return;
	timer_delete(t->timer);
	atomic_store(&t->stage, FREE);
}

void disturb_begin(uint64_t call_ns)
{
	atomic_store(&call_time_ns, call_ns < NS_PER_S / 4 ? call_ns : NS_PER_S / 4);
	atomic_store(&tainted, false);
	atomic_store(&active, have_handler());
	disturb_thread();
}

bool disturb_end(void)
{
	atomic_store(&active, false);
	for (unsigned i = 0; i < MOST_TIMERS; i++)
		drop(&timers[i]);
	return !atomic_load(&tainted);
}
