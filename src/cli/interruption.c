/* SPDX-License-Identifier: MIT */
#include "cli/interruption.h"

#include <errno.h>
#include <stddef.h>
#include <sys/signalfd.h>

#include "base/memory.h"

static void put_set(sigset_t *ret)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction act;

	sigemptyset(ret);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (sigaction(numbers[i], NULL, &act) == 0 && act.sa_handler != SIG_IGN)
			sigaddset(ret, numbers[i]);
}

void interruption_hold(struct interruption *i)
{
	sigset_t set;

	put_set(&set);
	sigprocmask(SIG_BLOCK, &set, &i->before);
}

void interruption_release(const struct interruption *i)
{
	sigprocmask(SIG_SETMASK, &i->before, NULL);
}

int interruption_fd(void)
{
	sigset_t set;
	int fd;

	put_set(&set);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
