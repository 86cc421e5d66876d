/* SPDX-License-Identifier: MIT */

/*
 * A thread that blocks in write(), so that the loop doesn't.
 *
 * O_NONBLOCK is no way: it belongs to the open file description, which stdout shares with
 * the shell and whatever else writes to that terminal; those then fail with EAGAIN, even
 * after we have gone. poll() before write() is none either: a terminal that says it is
 * writable may still block after the first hundred bytes. Opening /proc/self/fd/1 anew
 * gives a description of our own, but not for sockets, not for another user's pipe, and
 * for a file it loses the place. A thread asks nothing of the descriptor.
 *
 * The thread has all signals blocked: they are for the loop, and SIGPIPE becomes EPIPE,
 * after which everything is discarded in silence. At the end a thread that doesn't come
 * back from write() is left behind with its struct; the process is about to exit.
 */

#include "serve/output.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"

#define GRACE_MS 500

struct output {
	int fd;
	pthread_t thread;
	struct buffer writing; /* the thread's own */

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	struct buffer waiting;
	uint64_t dropped;
	bool ending;
	bool broken; /* nobody will ever read it */
};

static bool write_all(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(fd, bytes, size);

		if (n >= 0) {
			bytes += n;
			size -= (size_t)n;
		} else if (errno == EAGAIN) { /* somebody else set O_NONBLOCK */
			poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, -1);
		} else if (errno != EINTR) {
			return false;
		}
	}
	return true;
}

/* Take what waits; false at the end. */
static bool fetch(struct output *o)
{
	struct buffer empty = o->writing;
	bool more;

	buffer_reset(&empty);
	pthread_mutex_lock(&o->lock);
	while (!o->waiting.size && !o->ending)
		pthread_cond_wait(&o->changed, &o->lock);
	o->writing = o->waiting;
	o->waiting = empty;
	more = o->writing.size > 0;
	pthread_mutex_unlock(&o->lock);
	return more;
}

static void *run(void *context)
{
	struct output *o = context;

	while (fetch(o)) {
		if (write_all(o->fd, o->writing.data, o->writing.size))
			continue;
		pthread_mutex_lock(&o->lock);
		o->broken = true;
		pthread_mutex_unlock(&o->lock);
	}
	return NULL;
}

struct output *output_new(int fd)
{
	struct output *o = xcalloc(1, sizeof(*o));
	sigset_t all, before;
	int r;

	o->fd = fd;
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->changed, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&o->thread, NULL, run, o);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0) {
		fputs("devserve: no thread could be started\n", stderr);
		abort();
	}
	return o;
}

struct output *output_free(struct output *o)
{
	struct timespec until;

	if (!o)
		return NULL;
	pthread_mutex_lock(&o->lock);
	o->ending = true;
	pthread_cond_signal(&o->changed);
	pthread_mutex_unlock(&o->lock);

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += GRACE_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	if (pthread_timedjoin_np(o->thread, NULL, &until) != 0) {
		pthread_detach(o->thread);
		return NULL;
	}
	buffer_fini(&o->writing);
	buffer_fini(&o->waiting);
	pthread_mutex_destroy(&o->lock);
	pthread_cond_destroy(&o->changed);
	free(o);
	return NULL;
}

void output_write(struct output *o, const char *text, size_t size)
{
	pthread_mutex_lock(&o->lock);
	if (o->waiting.size + size > OUTPUT_LIMIT) {
		o->dropped++;
	} else if (!o->broken) {
		buffer_append(&o->waiting, text, size);
		pthread_cond_signal(&o->changed);
	}
	pthread_mutex_unlock(&o->lock);
}

uint64_t output_take_dropped(struct output *o)
{
	uint64_t n = 0;

	pthread_mutex_lock(&o->lock);
	if (o->waiting.size < OUTPUT_LIMIT / 2) {
		n = o->dropped;
		o->dropped = 0;
	}
	pthread_mutex_unlock(&o->lock);
	return n;
}
