/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Warm
 *
 * A compiler process (nvrtc/compile.h) that waits for its one compilation, so that none waits for
 * it. Where none waits, a new one is started and does both.
 */

#include "build/job.h"

struct warm;

/* @q: borrowed; outlives it. */
struct warm *warm_new(struct queue *q);
/* NULL is fine. Returns NULL. */
struct warm *warm_free(struct warm *w);

/* Compile: @command is the process, @request what it is told. 0, or -errno: nothing was started. */
int warm_start(struct warm *w, const struct words *command, const struct words *request, job_done_fn done,
	       void *context, struct job **ret);

/* A good moment to start the one for the next. */
void warm_prepare(struct warm *w, const struct words *command);
