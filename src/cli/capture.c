/* SPDX-License-Identifier: MIT */
#include "cli/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/interruption.h"

#define MOST (1 << 20) /* of what it prints; the rest is read and dropped */

extern char **environ;

/* A file without a name that holds @text. */
static int make_input(const char *text)
{
	int fd = memfd_create("input", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (file_write_all(fd, text, strlen(text)) < 0 || lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		return -EIO;
	}
	return fd;
}

static int start(const char *const *argv, char *const *environment, int input, int output, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	int r;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, input, 0);
	posix_spawn_file_actions_adddup2(&actions, output, 1);
	posix_spawn_file_actions_adddup2(&actions, output, 2);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attributes, &none);
	r = posix_spawnp(ret, argv[0], &actions, &attributes, (char *const *)argv, environment ? environment : environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* Until everybody who could write has closed the pipe. */
static int read_until(int fd, int interruption, uint64_t until_ns, size_t most, struct buffer *ret)
{
	for (;;) {
		uint64_t now = clock_ns();
		struct pollfd p[] = { { .fd = fd, .events = POLLIN }, { .fd = interruption, .events = POLLIN } };
		char bytes[4096];
		ssize_t n;

		if (now >= until_ns || poll(p, ARRAY_SIZE(p), (int)((until_ns - now) / NS_PER_MS) + 1) == 0)
			return -ETIMEDOUT;
		if (p[1].revents)
			return -EINTR;
		n = read(fd, bytes, sizeof(bytes));
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && ret->size < most)
			buffer_append(ret, bytes, (size_t)n);
	}
}

static int read_all(int fd, uint64_t until_ns, size_t most, struct buffer *ret)
{
	int interruption = interruption_fd(), r = read_until(fd, interruption, until_ns, most, ret);

	if (interruption >= 0)
		close(interruption);
	return r;
}

static int run(const char *const *argv, char *const *environment, int input, unsigned timeout_ms, size_t most,
	       struct buffer *ret)
{
	int fds[2], status, r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	r = start(argv, environment, input, fds[1], &pid);
	close(fds[1]);
	if (r == 0) {
		r = read_all(fds[0], clock_ns() + timeout_ms * NS_PER_MS, most, ret);
		if (r < 0)
			kill(-pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (r == 0)
			r = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
	close(fds[0]);
	return r;
}

static int feed(const char *const *argv, char *const *environment, const char *input, unsigned timeout_ms, size_t most,
		struct buffer *ret)
{
	int fd = make_input(input), r;

	if (fd < 0)
		return fd;
	r = run(argv, environment, fd, timeout_ms, most, ret);
	close(fd);
	return r;
}

int capture_with(const char *const *argv, char *const *environment, const char *input, unsigned timeout_ms,
		 struct buffer *ret)
{
	return feed(argv, environment, input, timeout_ms, MOST, ret);
}

int capture_all(const char *const *argv, const char *input, unsigned timeout_ms, size_t most, struct buffer *ret)
{
	return feed(argv, NULL, input, timeout_ms, most, ret);
}

int capture(const char *const *argv, const char *input, unsigned timeout_ms, struct buffer *ret)
{
	return feed(argv, NULL, input, timeout_ms, MOST, ret);
}
