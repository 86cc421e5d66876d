/* SPDX-License-Identifier: MIT */

/*
 * A source lives as long as the log. Its lines gather in a buffer, and one write at a time is
 * under way for each, so that lines stay in order; what gathers meanwhile goes with the next.
 * The rate limit bounds the buffer, too, unless a disk takes longer than a second for a write:
 * then lines are dropped and counted like those over the limit.
 *
 * A file holds whole lines only: what a write that failed left of one is cut off again, what a
 * server that was killed left is ended, and lines that a full disk cost are counted in their place.
 */

#include "serve/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "serve/event.h"

#define MAX_WAITING (4 * LOG_BYTES)

struct source {
	LIST_ENTRY(source) entry;
	struct log *log;
	char *name, *path; /* path NULL: no file */
	uint64_t since_ns; /* the second that is counted */
	uint64_t n_lines, n_bytes, n_dropped;
	uv_timer_t timer;  /* tells what was dropped */
	struct buffer waiting, writing;
	uv_work_t work;
	bool writes, full_told;
	int error;         /* of the last write: 0 or -errno */
	uint64_t n_lost;   /* lines, since a write succeeded */
};

struct log {
	uv_loop_t *loop;
	struct events *events; /* NULL: the server ends */
	char *state_dir, *directory; /* or NULL */
	unsigned n_open; /* timers and writes */
	LIST_HEAD(, source) sources;
};

static void log_destroy(struct log *l)
{
	struct source *s;

	if (l->events || l->n_open)
		return;
	while ((s = LIST_FIRST(&l->sources))) {
		LIST_REMOVE(s, entry);
		buffer_fini(&s->waiting);
		buffer_fini(&s->writing);
		free(s->name);
		free(s->path);
		free(s);
	}
	free(l->directory);
	free(l->state_dir);
	free(l);
}

struct log *log_new(uv_loop_t *loop, struct events *events, const char *state_dir)
{
	struct log *l = xcalloc(1, sizeof(*l));

	l->loop = loop;
	l->events = events;
	l->state_dir = state_dir ? xstrdup(state_dir) : NULL;
	l->directory = state_dir ? path_join(state_dir, "logs") : NULL;
	LIST_INIT(&l->sources);
	return l;
}

static void notice(struct source *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void notice(struct source *s, const char *format, ...)
{
	_cleanup_buffer_ struct buffer sentence = BUFFER_NULL;
	va_list args;

	if (!s->log->events)
		return;
	va_start(args, format);
	buffer_vprintf(&sentence, format, args);
	va_end(args);
	events_emit(s->log->events, &(struct event){ .kind = EVENT_NOTICE, .deployment = s->name,
						     .reason = buffer_text(&sentence) });
}

/* Files. These run on a thread of libuv's, which has `writing` for itself. */

static void put_line(struct buffer *b, uint32_t generation, const char *level, const char *text)
{
	clock_put_utc(b, clock_wall_ns());
	if (generation)
		buffer_printf(b, " gen %" PRIu32, generation);
	buffer_printf(b, " %s %s\n", level, text);
}

static uint64_t count_lines(const struct buffer *text)
{
	uint64_t n = 0;

	for (size_t i = 0; i < text->size; i++)
		n += text->data[i] == '\n';
	return n;
}

/* What comes before the lines. */
static void put_head(const struct source *s, int fd, off_t size, struct buffer *b)
{
	_cleanup_free_ char *text = xasprintf("(%" PRIu64 " lines are missing here)", s->n_lost);
	char last = '\n';

	if (size && pread(fd, &last, 1, size - 1) == 1 && last != '\n')
		buffer_putc(b, '\n');
	if (s->n_lost)
		put_line(b, 0, "warning", text);
}

/* What then is there, whole lines, is in @ret_kept also when it fails. */
static int write_lines(int fd, off_t size, const struct buffer *b, size_t *ret_kept)
{
	size_t done = 0;
	int r = 0;

	while (done < b->size && r == 0) {
		ssize_t n = write(fd, b->data + done, b->size - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			r = -errno;
	}
	while (done && b->data[done - 1] != '\n')
		done--;
	*ret_kept = done;
	return done < b->size && ftruncate(fd, size + (off_t)done) < 0 ? -errno : r;
}

static int append(struct source *s)
{
	_cleanup_buffer_ struct buffer b = BUFFER_NULL;
	int fd = open(s->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600), r;
	struct stat st = { .st_size = 0 };
	size_t head, kept = 0;

	if (fd < 0)
		return -errno;
	fstat(fd, &st);
	put_head(s, fd, st.st_size, &b);
	head = b.size;
	buffer_append(&b, s->writing.data, s->writing.size);
	r = write_lines(fd, st.st_size, &b, &kept);
	close(fd);
	if (kept >= head) { /* what was missing is said */
		buffer_consume(&s->writing, kept - head);
		s->n_lost = 0;
	}
	return r;
}

static void on_work(uv_work_t *work)
{
	struct source *s = work->data;
	_cleanup_free_ char *old = xasprintf("%s.1", s->path);
	struct stat st;

	if (stat(s->path, &st) == 0 && (uint64_t)st.st_size >= LOG_FILE_SIZE)
		rename(s->path, old);
	s->error = file_make_directories_from(s->log->state_dir, s->log->directory);
	if (s->error >= 0)
		s->error = append(s);
	if (s->error < 0)
		s->n_lost += count_lines(&s->writing);
}

static void start_writing(struct source *s);

static void on_written(uv_work_t *work, int status)
{
	struct source *s = work->data;
	struct log *l = s->log;

	(void)status;
	s->writes = false;
	l->n_open--;
	if (s->error < 0 && !s->full_told)
		notice(s, "cannot write %s: %s; lines are not kept until it can be written", s->path,
		       strerror(-s->error));
	s->full_told = s->error < 0;
	if (s->waiting.size)
		start_writing(s);
	log_destroy(l);
}

static void start_writing(struct source *s)
{
	struct buffer empty = s->writing;

	if (s->writes || !s->path)
		return;
	buffer_reset(&empty);
	s->writing = s->waiting;
	s->waiting = empty;
	s->work.data = s;
	if (uv_queue_work(s->log->loop, &s->work, on_work, on_written) < 0)
		return;
	s->writes = true;
	s->log->n_open++;
}

/* Rates */

static void on_timer_closed(uv_handle_t *handle)
{
	struct source *s = handle->data;

	s->log->n_open--;
	log_destroy(s->log);
}

static void on_second_over(uv_timer_t *timer)
{
	struct source *s = timer->data;
	uint64_t dropped = s->n_dropped;

	s->n_dropped = 0;
	if (dropped)
		notice(s, "%" PRIu64 " lines were not shown: more than %d lines or %d KiB in a second", dropped,
		       LOG_LINES, (int)(LOG_BYTES >> 10));
}

struct log *log_free(struct log *l)
{
	struct source *s;

	if (!l)
		return NULL;
	LIST_FOREACH(s, &l->sources, entry) {
		on_second_over(&s->timer);
		if (s->waiting.size)
			start_writing(s);
	}
	LIST_FOREACH(s, &l->sources, entry)
		uv_close((uv_handle_t *)&s->timer, on_timer_closed);
	l->events = NULL;
	log_destroy(l);
	return NULL;
}

static struct source *source_of(struct log *l, const char *name)
{
	struct source *s;

	LIST_FOREACH(s, &l->sources, entry)
		if (strcmp(s->name, name) == 0)
			return s;
	s = xcalloc(1, sizeof(*s));
	s->log = l;
	s->name = xstrdup(name);
	s->path = l->directory ? xasprintf("%s/%s.log", l->directory, name) : NULL;
	uv_timer_init(l->loop, &s->timer);
	uv_unref((uv_handle_t *)&s->timer);
	s->timer.data = s;
	l->n_open++;
	LIST_INSERT_HEAD(&l->sources, s, entry);
	return s;
}

static bool may_be_shown(struct source *s, size_t size)
{
	uint64_t now = uv_now(s->log->loop) * NS_PER_MS; /* a million lines a second come here */

	if (now - s->since_ns > NS_PER_S) {
		s->since_ns = now;
		s->n_lines = s->n_bytes = 0;
	}
	if (s->n_lines < LOG_LINES && s->n_bytes + size <= LOG_BYTES && s->waiting.size < MAX_WAITING) {
		s->n_lines++;
		s->n_bytes += size;
		return true;
	}
	if (s->n_dropped++ == 0 && !uv_is_active((uv_handle_t *)&s->timer)) {
		uv_update_time(s->log->loop);
		uv_timer_start(&s->timer, on_second_over, 1000, 0);
		uv_unref((uv_handle_t *)&s->timer);
	}
	return false;
}

static void keep(struct source *s, uint32_t generation, const char *level, const char *text)
{
	if (!s->path)
		return;
	put_line(&s->waiting, generation, level, text);
	start_writing(s);
}

void log_line(struct log *l, const char *deployment, uint32_t generation, int level, const char *text,
	      size_t size)
{
	static const char *const levels[] = { "debug", "info", "warning", "error" };
	struct source *s = source_of(l, deployment);
	_cleanup_free_ char *line = NULL;

	if (!may_be_shown(s, size))
		return;
	line = xstrndup(text, size);
	events_emit(l->events, &(struct event){ .kind = EVENT_LOG, .deployment = deployment,
						.generation = generation,
						.level = levels[level & 3], .text = line });
	keep(s, generation, levels[level & 3], line);
}
