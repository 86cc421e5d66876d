/* SPDX-License-Identifier: MIT */
#include "serve/progress.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "serve/event.h"

struct row {
	TAILQ_ENTRY(row) entry;
	char *name;
	uint64_t build; /* that is under way, the newest; 0: none */
	bool tried;     /* one has ended */
};

struct progress {
	bool ready;
	TAILQ_HEAD(, row) rows;
};

struct progress *progress_new(void)
{
	struct progress *p = xcalloc(1, sizeof(*p));

	TAILQ_INIT(&p->rows);
	return p;
}

static void row_free(struct progress *p, struct row *r)
{
	TAILQ_REMOVE(&p->rows, r, entry);
	free(r->name);
	free(r);
}

struct progress *progress_free(struct progress *p)
{
	if (!p)
		return NULL;
	while (!TAILQ_EMPTY(&p->rows))
		row_free(p, TAILQ_FIRST(&p->rows));
	free(p);
	return NULL;
}

static struct row *find(const struct progress *p, const char *name)
{
	struct row *r;

	TAILQ_FOREACH(r, &p->rows, entry)
		if (strcmp(r->name, name) == 0)
			break;
	return r;
}

static struct row *add(struct progress *p, const char *name)
{
	struct row *r = xcalloc(1, sizeof(*r));

	r->name = xstrdup(name);
	TAILQ_INSERT_TAIL(&p->rows, r, entry);
	return r;
}

static bool take_done(struct row *r, const struct event *e)
{
	if (r->build != e->build)
		return false; /* a newer one is under way */
	r->build = 0;
	r->tried = true;
	return true;
}

static bool take_of_row(struct progress *p, struct row *r, const struct event *e)
{
	switch (e->kind) {
	case EVENT_DEPLOYMENT_REMOVED:
		row_free(p, r);
		return true;
	case EVENT_BUILD_STARTED:
		r->build = e->build;
		return true;
	case EVENT_SAVE_DONE:
		return e->build && take_done(r, e);
	default:
		return false;
	}
}

bool progress_take(struct progress *p, const struct event *e)
{
	struct row *r = e->deployment ? find(p, e->deployment) : NULL;

	if (e->kind == EVENT_SERVER_READY)
		return p->ready = true;
	if (e->kind == EVENT_DEPLOYMENT_ADDED && !r)
		return add(p, e->deployment) != NULL;
	return r && take_of_row(p, r, e);
}

void progress_count(const struct progress *p, size_t *ret_done, size_t *ret_all)
{
	size_t done = 0, all = 0;
	struct row *r;

	TAILQ_FOREACH(r, &p->rows, entry) {
		all++;
		done += r->tried;
	}
	*ret_done = p->ready ? 0 : done;
	*ret_all = p->ready ? 0 : all;
}

static bool is_busy(const struct progress *p)
{
	struct row *r;

	TAILQ_FOREACH(r, &p->rows, entry)
		if (r->build)
			return true;
	return false;
}

void progress_describe(const struct progress *p, struct buffer *b)
{
	const char *between = "  ";
	size_t done, all;
	struct row *r;

	if (!is_busy(p))
		return;
	progress_count(p, &done, &all);
	buffer_puts(b, "building");
	if (all > 1)
		buffer_printf(b, " %zu/%zu", done, all);
	TAILQ_FOREACH(r, &p->rows, entry) {
		if (!r->build)
			continue;
		buffer_printf(b, "%s%s", between, r->name);
		between = ", ";
	}
}
