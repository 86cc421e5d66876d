/* SPDX-License-Identifier: MIT */

/*
 * A struct child lives until three things have happened: its process was reaped,
 * its two streams have ended, and every libuv handle has been closed. A stream is
 * not waited for longer than GRACE_MS after the process: something that it left
 * behind may hold the other end for ever.
 *
 * A stream is read once an iteration of the loop. uv_read_start() reads up to 32 times in a
 * row, and who prints faster than we read has the loop for himself for 512 KB: of lines as
 * short as they can be that was 19 ms, which everybody else waited.
 */

#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

#define GRACE_MS 200

extern char **environ;

struct stream {
	struct child *child;
	int fd;  /* 1 or 2 */
	int end; /* ours, of the pipe */
	bool open;
	uv_poll_t poll;
};

struct child {
	pid_t pid;
	int pidfd;
	int leash; /* ours, of a pipe; -1: none */
	bool reaped, ending, abandoned, timed_out;
	int n_handles;
	uv_poll_t poll;
	uv_timer_t timer;
	struct stream streams[2];
	char text[16384];
	struct child_end end;
	child_text_fn on_text;
	child_end_fn on_end;
	void *context;
};

static void on_handle_closed(uv_handle_t *handle)
{
	struct child *c = handle->data;

	if (--c->n_handles)
		return;
	close(c->pidfd);
	if (c->leash >= 0)
		close(c->leash);
	if (!c->abandoned)
		c->on_end(c->context, &c->end);
	free(c);
}

static void close_stream(struct stream *s)
{
	if (!s->open)
		return;
	s->open = false;
	uv_close((uv_handle_t *)&s->poll, on_handle_closed); /* takes it out of epoll at once */
	close(s->end);
	if (!s->child->abandoned)
		s->child->on_text(s->child->context, s->fd, NULL, 0);
}

static void finish(struct child *c)
{
	if (c->ending)
		return;
	c->ending = true;
	for (int i = 0; i < 2; i++)
		close_stream(&c->streams[i]);
	uv_close((uv_handle_t *)&c->timer, on_handle_closed);
}

static void finish_if_done(struct child *c)
{
	if (c->reaped && !c->streams[0].open && !c->streams[1].open)
		finish(c);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct child *c = poll->data;
	struct stream *s = container_of(poll, struct stream, poll);
	ssize_t n = read(s->end, c->text, sizeof(c->text));

	(void)status, (void)events;
	if (n > 0 && !c->abandoned)
		c->on_text(c->context, s->fd, c->text, (size_t)n);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		close_stream(s);
		finish_if_done(c);
	}
}

static void on_grace_over(uv_timer_t *timer)
{
	finish(timer->data);
}

static void on_time_over(uv_timer_t *timer)
{
	struct child *c = timer->data;

	c->timed_out = true;
	child_kill(c, SIGKILL);
}

/* Reap it. What it forked and left in its group ends with it. */
static void on_exited(uv_poll_t *poll, int status, int events)
{
	struct child *c = poll->data;
	struct rusage usage;
	int code;

	(void)status, (void)events;
	if (wait4(c->pid, &code, WNOHANG, &usage) != c->pid)
		return;
	kill(-c->pid, SIGKILL);
	c->reaped = true;
	c->end.ended_ns = clock_ns();
	c->end.code = WIFEXITED(code) ? WEXITSTATUS(code) : 0;
	c->end.signal = WIFSIGNALED(code) ? WTERMSIG(code) : 0;
	c->end.cpu_ns = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_S +
			(uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * NS_PER_US;
	c->end.peak_bytes = (uint64_t)usage.ru_maxrss * 1024;
	uv_close((uv_handle_t *)&c->poll, on_handle_closed);
	if (c->abandoned) {
		finish(c);
		return;
	}
	uv_timer_start(&c->timer, on_grace_over, GRACE_MS, 0);
	finish_if_done(c);
}

static void add_handle(struct child *c, uv_handle_t *handle)
{
	handle->data = c;
	c->n_handles++;
}

static void adopt(struct child *c, uv_loop_t *loop, const int ends[2], uint64_t time_limit_ms)
{
	uv_poll_init(loop, &c->poll, c->pidfd);
	add_handle(c, (uv_handle_t *)&c->poll);
	uv_poll_start(&c->poll, UV_READABLE, on_exited);

	uv_timer_init(loop, &c->timer);
	add_handle(c, (uv_handle_t *)&c->timer);
	if (time_limit_ms)
		uv_timer_start(&c->timer, on_time_over, time_limit_ms, 0);

	for (int i = 0; i < 2; i++) {
		struct stream *s = &c->streams[i];

		s->child = c;
		s->fd = i + 1;
		if (ends[i] < 0)
			continue;
		s->end = ends[i];
		uv_poll_init(loop, &s->poll, s->end); /* makes it non-blocking: our end only */
		add_handle(c, (uv_handle_t *)&s->poll);
		uv_poll_start(&s->poll, UV_READABLE, on_readable);
		s->open = true;
	}
}

static int open_pipes(const struct child_options *o, int ours[2], int theirs[2])
{
	ours[0] = ours[1] = theirs[0] = theirs[1] = -1;
	for (int i = 0; i < 2; i++) {
		int ends[2];

		if (!o->on_text || (i == 0 && o->output_fd))
			continue;
		if (pipe2(ends, O_CLOEXEC) < 0)
			return -errno;
		ours[i] = ends[0];
		theirs[i] = ends[1];
	}
	return 0;
}

/*
 * A parent's end is told to its children only (PR_SET_PDEATHSIG), and gcc's are not ours. So a pipe tells: the
 * group holds one end, whose owner it is and whose signal is SIGKILL, and we the other, which closes with us.
 */
static int open_leash(const struct child_options *o, int ret[2])
{
	ret[0] = ret[1] = -1;
	return o->leashed && pipe2(ret, O_CLOEXEC) < 0 ? -errno : 0;
}

static void tie_leash(int theirs, pid_t group)
{
	if (theirs >= 0 && fcntl(theirs, F_SETOWN, -group) == 0 && fcntl(theirs, F_SETSIG, SIGKILL) == 0)
		fcntl(theirs, F_SETFL, O_ASYNC);
}

static void close_both(const int fds[2])
{
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/*
 * Descriptors go to their places by way of numbers that none of them has, or one
 * of them could be overwritten before its turn.
 */
static int arrange_descriptors(posix_spawn_file_actions_t *actions, const struct child_options *o,
			       const int theirs[2], int leash)
{
	int from[3 + ARRAY_SIZE(o->fds)];
	int n = 2 + o->n_fds, scratch = 100, r = 0;

	from[0] = o->output_fd ? o->output_fd : theirs[0];
	from[1] = theirs[1];
	for (int i = 0; i < o->n_fds; i++)
		from[2 + i] = o->fds[i];
	if (leash >= 0)
		from[n++] = leash;
	for (int i = 0; i < n; i++)
		scratch = from[i] >= scratch ? from[i] + 1 : scratch;
	r = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
	for (int i = 0; i < n && r == 0; i++)
		r = from[i] >= 0 ? posix_spawn_file_actions_adddup2(actions, from[i], scratch + i)
				 : posix_spawn_file_actions_addopen(actions, scratch + i, "/dev/null",
								    O_WRONLY, 0);
	for (int i = 0; i < n && r == 0; i++) {
		r = posix_spawn_file_actions_adddup2(actions, scratch + i, 1 + i);
		if (r == 0)
			r = posix_spawn_file_actions_addclose(actions, scratch + i);
	}
	if (r == 0 && o->directory)
		r = posix_spawn_file_actions_addchdir_np(actions, o->directory);
	return -r;
}

static int spawn(const struct child_options *o, const int theirs[2], int leash, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int r;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF);
	r = arrange_descriptors(&actions, o, theirs, leash);
	if (r == 0)
		r = -posix_spawnp(ret, o->argv[0], &actions, &attributes, (char *const *)o->argv,
				  o->env ? (char *const *)o->env : environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return r;
}

/* Set from outside: posix_spawn() has no place for them. */
static void limit(pid_t pid, enum __rlimit_resource what, uint64_t value)
{
	struct rlimit r = { .rlim_cur = value, .rlim_max = value };

	if (value)
		prlimit(pid, what, &r, NULL);
}

int child_start(uv_loop_t *loop, const struct child_options *o, struct child **ret)
{
	int ours[2], theirs[2], leash[2], r;
	struct child *c;
	pid_t pid = -1;

	r = open_leash(o, leash);
	if (r < 0)
		return r;
	r = open_pipes(o, ours, theirs);
	if (r == 0)
		r = spawn(o, theirs, leash[0], &pid);
	close_both(theirs);
	if (r < 0) {
		close_both(ours);
		close_both(leash);
		return r;
	}
	tie_leash(leash[0], pid);
	close_both((const int[]){ leash[0], -1 });
	limit(pid, RLIMIT_AS, o->memory_limit);
	limit(pid, RLIMIT_CPU, o->cpu_limit_s);
	if (o->idle)
		sched_setscheduler(pid, SCHED_IDLE, &(struct sched_param){ .sched_priority = 0 });

	c = xcalloc(1, sizeof(*c));
	c->pid = pid;
	c->leash = leash[1];
	c->end.started_ns = clock_ns();
	c->on_text = o->on_text;
	c->on_end = o->on_end;
	c->context = o->context;
	c->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (c->pidfd < 0) {
		r = -errno;
		kill(-pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close_both(ours);
		close_both((const int[]){ c->leash, -1 });
		free(c);
		return r;
	}
	adopt(c, loop, ours, o->time_limit_ms);
	*ret = c;
	return 0;
}

void child_kill(struct child *c, int signal)
{
	if (!c->reaped)
		kill(-c->pid, signal);
}

struct child *child_abandon(struct child *c)
{
	if (!c)
		return NULL;
	c->abandoned = true;
	child_kill(c, SIGKILL);
	for (int i = 0; i < 2; i++)
		close_stream(&c->streams[i]);
	if (c->reaped)
		finish(c);
	return NULL;
}

pid_t child_pid(const struct child *c)
{
	return c->pid;
}

bool child_timed_out(const struct child *c)
{
	return c->timed_out;
}
