/* SPDX-License-Identifier: MIT */

/*
 * The kernel tells of a parent's end only, and our parent goes on when the server is killed. So a
 * thread waits for the end of both, the server and the program that leads our group, by
 * descriptors that become readable then, and takes the group along.
 */

#include "worker/launched.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct pollfd ends[2];
static bool launched;

bool launched_learn(void)
{
	const char *value = getenv("DEVSERVE_LAUNCHED");

	launched = value && strcmp(value, "yes") == 0;
	unsetenv("DEVSERVE_LAUNCHED");
	return launched;
}

bool launched_is(void)
{
	return launched;
}

static void *wait_for_an_end(void *context)
{
	while (poll(ends, 2, -1) <= 0) {
		/* a signal */
	}
	kill(0, SIGKILL);
	return context;
}

static int open_process(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0); /* -1 is passed over by poll() */
}

bool launched_init(uint32_t server_pid)
{
	sigset_t all, before;
	pthread_t thread;

	if (!launched_learn())
		return false;
	ends[0] = (struct pollfd){ .fd = open_process((pid_t)server_pid), .events = POLLIN };
	ends[1] = (struct pollfd){ .fd = open_process(getpgrp()), .events = POLLIN };
	if (ends[0].fd < 0)
		_exit(1); /* it ended before we asked to be told */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&thread, NULL, wait_for_an_end, NULL) == 0)
		pthread_detach(thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return true;
}
