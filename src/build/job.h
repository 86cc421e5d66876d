/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Job
 *
 * One run of a compiler: a command, or two where the second reads what the first writes.
 * A queue runs so many jobs at a time, first come, first served.
 */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/buffer.h"
#include "build/words.h"

struct job;
struct queue;

struct job_options {
	const struct words *command;
	const struct words *reader; /* NULL: none. Finds the pipe's end as descriptor 3 */
	int input_fd;               /* descriptor 3 of the command; 0: none. The caller's */
	bool at_once;               /* not counted among the queue's: doesn't wait */
	bool idle;                  /* runs when nobody else wants to */
	uint64_t memory_limit;      /* bytes of address space; 0: none */
	uint64_t time_limit_ms;     /* 0: none */
};

struct job_end {
	bool ok;          /* all exited with 0 */
	int signal;       /* or what ended the one that failed */
	bool timed_out;
	int error;        /* or -errno: it could not be started */
	const char *text; /* what they printed, at most JOB_MAX_TEXT bytes and a line that says so */
	uint64_t started_ns, ended_ns;
};

enum { JOB_MAX_TEXT = 65536 };

/* Comes from the loop; the job is gone afterwards. */
typedef void (*job_done_fn)(void *context, const struct job_end *end);

/* @directory is where they run, @temporary where they leave what they need for a moment. */
struct queue *queue_new(uv_loop_t *loop, unsigned limit, const char *directory,
			const char *temporary);
/* All its jobs must have ended or been cancelled. NULL is fine. Returns NULL. */
struct queue *queue_free(struct queue *q);

void job_start(struct queue *q, const struct job_options *o, job_done_fn done, void *context,
	       struct job **ret);
/* Another's from now on, who counts its time from here. */
void job_adopt(struct job *j, job_done_fn done, void *context);
/* Kill what runs; @done will not come. NULL is fine. Returns NULL. */
struct job *job_cancel(struct job *j);

/* Append @text, and cut the whole at a line's end so that it holds JOB_MAX_TEXT bytes. */
void text_append(struct buffer *b, size_t *n_lost, const char *text, size_t size);
/* Say how many lines text_append() left out. */
void text_finish(struct buffer *b, size_t n_lost);
