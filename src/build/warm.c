/* SPDX-License-Identifier: MIT */
#include "build/warm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

struct warm {
	struct queue *queue;
	struct job *job; /* that waits; NULL: none */
	int pipe;        /* where its request goes */
};

struct warm *warm_new(struct queue *q)
{
	struct warm *w = xcalloc(1, sizeof(*w));

	w->queue = q;
	return w;
}

static void forget(struct warm *w)
{
	if (w->job)
		close(w->pipe);
	w->job = NULL;
}

struct warm *warm_free(struct warm *w)
{
	if (!w)
		return NULL;
	job_cancel(w->job);
	forget(w);
	free(w);
	return NULL;
}

/* Whatever it died of: the next compilation starts its own. */
static void on_died(void *context, const struct job_end *end)
{
	struct warm *w = context;

	(void)end;
	forget(w);
}

static int start(struct warm *w, const struct words *command)
{
	struct job_options o = { .command = command, .at_once = true };
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	fcntl(ends[1], F_SETPIPE_SZ, 1 << 18); /* no request may block us */
	o.input_fd = ends[0];
	w->pipe = ends[1];
	job_start(w->queue, &o, on_died, w, &w->job);
	close(ends[0]);
	return 0;
}

void warm_prepare(struct warm *w, const struct words *command)
{
	if (!w->job)
		start(w, command);
}

static int tell(int fd, const struct words *request)
{
	_cleanup_buffer_ struct buffer text = BUFFER_NULL;

	for (size_t i = 0; i < request->n; i++)
		buffer_append(&text, request->at[i], strlen(request->at[i]) + 1);
	return file_write_all(fd, text.data, text.size);
}

int warm_start(struct warm *w, const struct words *command, const struct words *request, job_done_fn done,
	       void *context, struct job **ret)
{
	int r = w->job ? 0 : start(w, command);

	if (r < 0)
		return r;
	*ret = w->job;
	job_adopt(w->job, done, context);
	tell(w->pipe, request); /* who does not read it says himself why */
	forget(w);
	return 0;
}
