/* SPDX-License-Identifier: MIT */

/*
 * What is told waits as tasks. A thread takes all that wait as one transaction; what comes
 * meanwhile waits for the next. So a burst of saves costs one commit, and two threads are never at
 * the file. A transaction that fails is nothing done: its tasks wait on, in front, for the next
 * task or for a second to pass; who wants an answer is told the reason instead.
 */

#include "history/history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "history/archive.h"
#include "history/database.h"
#include "history/entry.h"
#include "history/kept.h"

#define MAX_WAITING (UINT64_C(32) << 20) /* bytes of entries; beyond, they are dropped and counted */
#define RETRY_MS 1000

struct task { /* one of the two */
	TAILQ_ENTRY(task) entry;
	struct history_entry *record;
	struct history_request *request;
};

struct history_request {
	history_answer_fn done; /* NULL: cancelled */
	void *context;
	char *deployment;
	uint32_t generation, before;
	int result;
	struct archive_generation found;
};

TAILQ_HEAD(tasks, task);

struct history {
	uv_loop_t *loop;
	struct history_options o;
	struct archive *archive;    /* the thread's while it works */
	struct tasks waiting, writing;
	uint64_t n_bytes, n_dropped; /* of entries that wait; that had no room */
	uv_work_t work;
	uv_timer_t retry;
	bool works, failed_told;
	bool freed;                 /* by its owner */
	bool ending;                /* what is written now is the last; the thread reads it */
	int result;                 /* of the last transaction */
	struct buffer notice, why;  /* what the thread has to say */
};

static void start(struct history *h);

static struct task *task_free(struct task *t)
{
	entry_free(t->record);
	if (t->request)
		free(t->request->deployment);
	free(t->request);
	free(t);
	return NULL;
}

/* On the thread */

static int write_all(struct history *h)
{
	struct task *t;
	int r;

	if (h->ending && TAILQ_EMPTY(&h->writing) && !archive_is_there(h->archive))
		return DATABASE_OK; /* nothing to say, and nowhere to say it */
	r = archive_begin(h->archive, &h->notice, &h->why);
	if (r != DATABASE_OK)
		return r;
	TAILQ_FOREACH(t, &h->writing, entry) {
		r = t->record ? archive_record(h->archive, t->record) : DATABASE_OK;
		if (r != DATABASE_OK) {
			archive_rollback(h->archive, r, &h->why);
			return r;
		}
	}
	if (h->ending)
		archive_end_session(h->archive, (int64_t)(clock_wall_ns() / NS_PER_MS));
	return archive_commit(h->archive, &h->why);
}

static void on_work(uv_work_t *work)
{
	struct history *h = work->data;
	struct task *t;

	h->result = write_all(h);
	if (h->result != DATABASE_OK)
		return;
	TAILQ_FOREACH(t, &h->writing, entry)
		if (t->request)
			t->request->result = archive_find(h->archive, t->request->deployment, t->request->generation,
							  t->request->before, &t->request->found);
	archive_trim_sometimes(h->archive);
}

/* On the loop */

static void destroy(struct history *h)
{
	struct task *t;

	while ((t = TAILQ_FIRST(&h->waiting))) {
		TAILQ_REMOVE(&h->waiting, t, entry);
		task_free(t);
	}
	archive_free(h->archive);
	buffer_fini(&h->notice);
	buffer_fini(&h->why);
	free(h);
}

static void on_closed(uv_handle_t *handle)
{
	destroy(handle->data);
}

static void answer(struct history *h, struct history_request *r)
{
	const struct archive_generation *g = &r->found;
	const char *state_dir = archive_state_dir(h->archive);
	_cleanup_free_ char *image = g->has_image ? kept_path(state_dir, g->image, KEPT_IMAGE) : NULL;
	_cleanup_free_ char *device = g->has_image && !hash_is_zero(g->device)
					      ? kept_path(state_dir, g->device, KEPT_DEVICE) : NULL;
	_cleanup_free_ char *error = h->result == DATABASE_OK
					     ? NULL : xasprintf("the history can't be asked: %s", buffer_text(&h->why));
	history_answer_fn done = r->done;

	if (!error && r->result != DATABASE_OK)
		error = xstrdup("the history can't be asked: its file is damaged");
	r->done = NULL;
	if (done && !h->freed)
		done(r->context, &(struct history_answer){ .error = error, .generation = g->number,
							   .source = g->source, .image = g->image, .device = g->device,
							   .weights = g->weights, .libraries = g->libraries,
							   .image_path = image, .device_path = device });
}

/* What was done goes, and so does who was answered; what wasn't is first the next time. */
static void put_away(struct history *h)
{
	struct task *t;

	while ((t = TAILQ_LAST(&h->writing, tasks))) {
		TAILQ_REMOVE(&h->writing, t, entry);
		if (t->record && h->result != DATABASE_OK) {
			TAILQ_INSERT_HEAD(&h->waiting, t, entry);
			continue;
		}
		if (t->record)
			h->n_bytes -= entry_size(t->record);
		task_free(t);
	}
}

static void tell(struct history *h)
{
	_cleanup_free_ char *failed = NULL, *dropped = NULL;

	if (h->notice.size)
		h->o.notice(h->o.context, buffer_text(&h->notice));
	buffer_reset(&h->notice);
	if (h->result != DATABASE_OK && !h->failed_told) {
		failed = xasprintf("the history isn't written: %s; saves go on, and so does serving",
				   buffer_text(&h->why));
		h->o.notice(h->o.context, failed);
	}
	h->failed_told = h->result != DATABASE_OK;
	if (h->failed_told || !h->n_dropped)
		return;
	dropped = xasprintf("%" PRIu64 " events are missing in the history: it could not be written for too long",
			    h->n_dropped);
	h->n_dropped = 0;
	h->o.notice(h->o.context, dropped);
}

static void on_retry(uv_timer_t *timer)
{
	start(timer->data);
}

static void on_worked(uv_work_t *work, int status)
{
	struct history *h = work->data;
	struct task *t;

	(void)status;
	TAILQ_FOREACH(t, &h->writing, entry)
		if (t->request)
			answer(h, t->request); /* may tell of something: that waits until these are put away */
	put_away(h);
	h->works = false;
	if (!h->freed)
		tell(h);
	buffer_reset(&h->why);
	if (h->ending) {
		uv_close((uv_handle_t *)&h->retry, on_closed);
	} else if (h->freed || (h->result == DATABASE_OK && !TAILQ_EMPTY(&h->waiting))) {
		start(h);
	} else if (h->result != DATABASE_OK) {
		uv_update_time(h->loop);
		uv_timer_start(&h->retry, on_retry, RETRY_MS, 0);
		uv_unref((uv_handle_t *)&h->retry);
	}
}

static void start(struct history *h)
{
	if (h->works)
		return;
	uv_timer_stop(&h->retry);
	TAILQ_CONCAT(&h->writing, &h->waiting, entry);
	h->ending = h->freed;
	h->work.data = h;
	h->works = uv_queue_work(h->loop, &h->work, on_work, on_worked) == 0;
}

static void add(struct history *h, const struct task *task)
{
	struct task *t = xcalloc(1, sizeof(*t));

	*t = *task;
	TAILQ_INSERT_TAIL(&h->waiting, t, entry);
	if (!uv_is_active((uv_handle_t *)&h->retry) || t->request)
		start(h);
}

void history_add(struct history *h, const struct history_entry *e)
{
	size_t size;

	if (!h)
		return;
	size = entry_size(e);
	if (h->n_bytes + size > MAX_WAITING) {
		h->n_dropped++;
		return;
	}
	h->n_bytes += size;
	add(h, &(struct task){ .record = entry_copy(e) });
}

struct history_request *history_find(struct history *h, const char *deployment, uint32_t generation,
				     uint32_t before, history_answer_fn done, void *context)
{
	struct history_request *r = xcalloc(1, sizeof(*r));

	*r = (struct history_request){ .done = done, .context = context, .deployment = xstrdup(deployment),
				       .generation = generation, .before = before };
	add(h, &(struct task){ .request = r });
	return r;
}

struct history_request *history_cancel(struct history_request *r)
{
	if (r)
		r->done = NULL;
	return NULL;
}

struct history *history_new(uv_loop_t *loop, const struct history_options *o)
{
	struct history *h = xcalloc(1, sizeof(*h));

	h->loop = loop;
	h->o = *o;
	h->archive = archive_new(o->state_dir, o->version);
	TAILQ_INIT(&h->waiting);
	TAILQ_INIT(&h->writing);
	uv_timer_init(loop, &h->retry);
	h->retry.data = h;
	uv_unref((uv_handle_t *)&h->retry);
	return h;
}

struct history *history_free(struct history *h)
{
	if (!h)
		return NULL;
	h->freed = true;
	start(h);
	return NULL;
}
