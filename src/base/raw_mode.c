/* SPDX-License-Identifier: MIT */
#include "base/raw_mode.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "base/memory.h"

static struct termios before;
static volatile sig_atomic_t terminal = -1; /* in raw mode; -1: none */

bool raw_mode_is_ours(int fd)
{
	return isatty(fd) && tcgetpgrp(fd) == getpgrp();
}

void raw_mode_leave(void)
{
	int fd = terminal;

	terminal = -1;
	if (fd >= 0 && tcgetpgrp(fd) == getpgrp()) /* else a shell has it, and has set it already */
		tcsetattr(fd, TCSANOW, &before);
}

static void on_crash(int number)
{
	int saved = errno;

	raw_mode_leave();
	errno = saved;
	raise(number); /* now it does what it does by default */
}

/* A sanitizer that has a handler keeps it. */
static void catch_crashes(void)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGQUIT, SIGTRAP, SIGSYS };
	const struct sigaction ours = { .sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND };

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		struct sigaction there;

		if (sigaction(numbers[i], NULL, &there) == 0 && there.sa_handler == SIG_DFL)
			sigaction(numbers[i], &ours, NULL);
	}
}

static void prepare(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	atexit(raw_mode_leave);
	catch_crashes();
}

int raw_mode_enter(int fd)
{
	struct termios raw;

	if (terminal >= 0)
		return 0;
	if (tcgetattr(fd, &before) < 0)
		return -errno;
	prepare();
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 0; /* a read never waits: somebody else may have taken the key */
	raw.c_cc[VTIME] = 0;
	terminal = fd; /* first: a crash in between sets it to what it is */
	if (tcsetattr(fd, TCSANOW, &raw) == 0)
		return 0;
	terminal = -1;
	return -errno;
}
