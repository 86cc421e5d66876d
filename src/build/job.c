/* SPDX-License-Identifier: MIT */

/*
 * The environment of compilers is ours with a few exceptions: messages are in English,
 * since diagnostic.c reads them; flags meant for the server's own build, or for nvcc behind
 * our back, don't reach plugins; temporary files go where they are cleaned up.
 */

#include "build/job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/memory.h"

extern char **environ;

struct process { /* one of the two */
	struct job *job;
	struct child *child; /* NULL: not running */
	struct child_end end;
	bool timed_out;
	struct buffer text;
	size_t n_lost;
};

struct job {
	TAILQ_ENTRY(job) entry; /* in waiting or running */
	struct queue *queue;
	struct words commands[2]; /* the reader's is empty where there is none */
	uint64_t memory_limit, time_limit_ms;
	bool at_once, idle, started;
	int input_fd; /* while it is started, or 0 */
	int error;
	unsigned n_running;
	uint64_t started_ns;
	struct process processes[2];
	job_done_fn done;
	void *context;
};

TAILQ_HEAD(jobs, job);

struct queue {
	uv_loop_t *loop;
	uv_timer_t timer; /* tells of jobs that could not be started */
	unsigned limit, n_running;
	char *directory;
	struct words env;
	struct jobs waiting, running;
};

void text_append(struct buffer *b, size_t *n_lost, const char *text, size_t size)
{
	size_t room = b->size < JOB_MAX_TEXT && !*n_lost ? JOB_MAX_TEXT - b->size : 0;
	size_t kept = size < room ? size : room;

	if (kept < size && room) {
		const char *eol = memrchr(text, '\n', kept);

		kept = eol ? (size_t)(eol - text) + 1 : 0;
		if (!kept && b->size && b->data[b->size - 1] != '\n') { /* cut the line before, too */
			eol = memrchr(b->data, '\n', b->size);
			b->size = eol ? (size_t)(eol - b->data) + 1 : 0;
			b->data[b->size] = '\0';
		}
	}
	buffer_append(b, text, kept);
	for (const char *p = text + kept; p < text + size; p++)
		*n_lost += *p == '\n' || (p + 1 == text + size && !*n_lost);
}

void text_finish(struct buffer *b, size_t n_lost)
{
	if (n_lost)
		buffer_printf(b, "… %zu more line%s\n", n_lost, n_lost == 1 ? "" : "s");
}

static void make_environment(struct words *env, const char *temporary)
{
	static const char *const dropped[] = { "LANG=", "LANGUAGE=", "LC_", "DEPENDENCIES_OUTPUT=",
					       "SUNPRO_DEPENDENCIES=", "CFLAGS=", "CXXFLAGS=",
					       "CPPFLAGS=", "LDFLAGS=", "NVCC_PREPEND_FLAGS=",
					       "NVCC_APPEND_FLAGS=", "GCC_COLORS=", "MAKEFLAGS=",
					       "TMPDIR=" };

	for (char **e = environ; *e; e++) {
		bool keep = true;

		for (size_t i = 0; i < ARRAY_SIZE(dropped); i++)
			keep = keep && strncmp(*e, dropped[i], strlen(dropped[i])) != 0;
		if (keep)
			words_add(env, *e);
	}
	words_add(env, "LC_ALL=C.UTF-8");
	words_printf(env, "TMPDIR=%s", temporary);
}

static void free_job(struct job *j)
{
	for (int i = 0; i < 2; i++) {
		words_fini(&j->commands[i]);
		buffer_fini(&j->processes[i].text);
	}
	free(j);
}

static void pump(struct queue *q);

/*
 * The first failure counts; but what `as` says of half a program does not, and a writer
 * that died of SIGPIPE only tells that its reader went first.
 */
static void finish(struct job *j)
{
	struct process *p = j->processes;
	bool both = j->commands[1].n > 0;
	bool first_ok = !p[0].end.code && (!p[0].end.signal || p[0].end.signal == SIGPIPE);
	struct process *last = both && first_ok ? &p[1] : &p[0];
	struct buffer text = BUFFER_NULL;
	size_t n_lost = 0;

	for (int i = 0; i < (both && first_ok ? 2 : 1); i++) {
		text_append(&text, &n_lost, buffer_text(&p[i].text), p[i].text.size);
		n_lost += p[i].n_lost;
	}
	text_finish(&text, n_lost);
	j->done(j->context, &(struct job_end){
		.ok = !j->error && !p[0].end.code && !p[0].end.signal && !last->end.code &&
		      !last->end.signal,
		.signal = last->end.signal,
		.timed_out = p[0].timed_out || p[1].timed_out,
		.error = j->error,
		.text = buffer_text(&text),
		.started_ns = j->started_ns,
		.ended_ns = clock_ns(),
	});
	buffer_fini(&text);
	free_job(j);
}

static void leave(struct job *j)
{
	struct queue *q = j->queue;

	if (j->started) {
		TAILQ_REMOVE(&q->running, j, entry);
		if (!j->at_once)
			q->n_running--;
	} else {
		TAILQ_REMOVE(&q->waiting, j, entry);
	}
}

static void on_process_text(void *context, int fd, const char *text, size_t size)
{
	struct process *p = context;

	(void)fd;
	if (size)
		text_append(&p->text, &p->n_lost, text, size);
}

static void on_process_end(void *context, const struct child_end *end)
{
	struct process *p = context;
	struct job *j = p->job;
	struct queue *q = j->queue;

	p->timed_out = child_timed_out(p->child);
	p->child = NULL;
	p->end = *end;
	if (--j->n_running)
		return;
	leave(j);
	finish(j);
	pump(q);
}

static int start_process(struct job *j, int which, int output_fd, int input_fd)
{
	struct child_options o = {
		.argv = (const char *const *)j->commands[which].at,
		.env = (const char *const *)j->queue->env.at,
		.directory = j->queue->directory,
		.fds = { input_fd },
		.n_fds = input_fd >= 0 ? 1 : 0,
		.output_fd = output_fd,
		.memory_limit = j->memory_limit,
		.time_limit_ms = j->time_limit_ms,
		.idle = j->idle,
		.leashed = true,
		.on_text = on_process_text,
		.on_end = on_process_end,
		.context = &j->processes[which],
	};
	int r = child_start(j->queue->loop, &o, &j->processes[which].child);

	if (r == 0)
		j->n_running++;
	return r;
}

static int start_both(struct job *j)
{
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
	r = start_process(j, 0, ends[1], -1);
	if (r == 0)
		r = start_process(j, 1, 0, ends[0]);
	close(ends[0]);
	close(ends[1]);
	return r;
}

static void on_tell(uv_timer_t *timer)
{
	struct queue *q = timer->data;
	struct job *j;

	for (;;) {
		TAILQ_FOREACH(j, &q->running, entry)
			if (!j->n_running)
				break;
		if (!j)
			return;
		leave(j);
		finish(j);
		pump(q);
	}
}

static void start(struct job *j)
{
	struct queue *q = j->queue;

	TAILQ_REMOVE(&q->waiting, j, entry);
	TAILQ_INSERT_TAIL(&q->running, j, entry);
	j->started = true;
	if (!j->at_once)
		q->n_running++;
	j->started_ns = clock_ns();
	j->error = j->commands[1].n ? start_both(j) : start_process(j, 0, 0, j->input_fd ? j->input_fd : -1);
	if (j->error)
		for (int i = 0; i < 2; i++)
			j->processes[i].child = child_abandon(j->processes[i].child);
	if (j->error) {
		j->n_running = 0;
		uv_timer_start(&q->timer, on_tell, 0, 0);
	}
}

static void pump(struct queue *q)
{
	struct job *j, *next;

	for (j = TAILQ_FIRST(&q->waiting); j; j = next) {
		next = TAILQ_NEXT(j, entry);
		if (j->at_once || q->n_running < q->limit)
			start(j);
	}
}

void job_start(struct queue *q, const struct job_options *o, job_done_fn done, void *context,
	       struct job **ret)
{
	struct job *j = xcalloc(1, sizeof(*j));

	j->queue = q;
	words_add_all(&j->commands[0], o->command);
	if (o->reader)
		words_add_all(&j->commands[1], o->reader);
	j->memory_limit = o->memory_limit;
	j->time_limit_ms = o->time_limit_ms;
	j->at_once = o->at_once;
	j->idle = o->idle;
	j->input_fd = o->input_fd;
	j->done = done;
	j->context = context;
	for (int i = 0; i < 2; i++)
		j->processes[i].job = j;
	TAILQ_INSERT_TAIL(&q->waiting, j, entry);
	*ret = j;
	pump(q);
}

void job_adopt(struct job *j, job_done_fn done, void *context)
{
	j->done = done;
	j->context = context;
	j->started_ns = clock_ns();
}

struct job *job_cancel(struct job *j)
{
	struct queue *q;

	if (!j)
		return NULL;
	q = j->queue;
	for (int i = 0; i < 2; i++)
		child_abandon(j->processes[i].child);
	leave(j);
	free_job(j);
	pump(q);
	return NULL;
}

struct queue *queue_new(uv_loop_t *loop, unsigned limit, const char *directory,
			const char *temporary)
{
	struct queue *q = xcalloc(1, sizeof(*q));

	q->loop = loop;
	q->limit = limit;
	q->directory = xstrdup(directory);
	make_environment(&q->env, temporary);
	TAILQ_INIT(&q->waiting);
	TAILQ_INIT(&q->running);
	uv_timer_init(loop, &q->timer);
	q->timer.data = q;
	return q;
}

static void on_queue_closed(uv_handle_t *handle)
{
	free(handle->data);
}

struct queue *queue_free(struct queue *q)
{
	if (!q)
		return NULL;
	free(q->directory);
	words_fini(&q->env);
	uv_close((uv_handle_t *)&q->timer, on_queue_closed);
	return NULL;
}
