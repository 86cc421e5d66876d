/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Intake
 *
 * What devserve-watch writes, understood: records (watch/protocol.h) go to settle.c, with paths
 * made absolute, and what is for the author to read goes to `notice`. Any bytes may come.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

struct settle;

struct intake {
	const char *root;      /* borrowed */
	struct settle *settle; /* borrowed */
	void (*notice)(void *context, const char *sentence);
	void *context;

	struct buffer records; /* from its stdout, one that isn't whole yet */
	struct buffer lines;   /* from its stderr, the same */
	bool ended;            /* say nothing more; may be set from within `notice` and batches */
};

/* Bytes of its stdout. false: that is no record; end the process. */
bool intake_records(struct intake *i, const char *bytes, size_t size);

/* Bytes of its stderr, where libraries talk. */
void intake_lines(struct intake *i, const char *bytes, size_t size);

/* The process has ended: what it didn't finish counts for nothing. */
void intake_reset(struct intake *i);
void intake_fini(struct intake *i);
