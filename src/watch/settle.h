/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Settle
 *
 * Gathers changes until they have come to rest, then delivers them as one batch.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "watch/path_set.h"

struct watch_batch;

typedef void (*settle_fn)(void *context, const struct watch_batch *batch);

struct settle {
	uv_timer_t timer; /* its data belongs to whoever closes it */
	unsigned quiet_ms;
	settle_fn deliver;
	void *context;

	struct path_set paths;
	size_t n_open;              /* of the paths: made and not yet written */
	bool everything, overflow;  /* everything: the paths are forgotten */
	bool storm;                 /* what fills `everything` came in a flood */
	uint64_t first_ns, last_ns; /* of the batch's events; first 0: no batch */
};

void settle_init(struct settle *s, uv_loop_t *loop, unsigned quiet_ms, settle_fn deliver,
		 void *context);

/* Free what was gathered. The timer is closed already, with uv_close(). */
void settle_fini(struct settle *s);

/* @path has changed. */
void settle_path(struct settle *s, const char *path);

/*
 * @path was made and will be written: if the batch has it already, as vanished, it isn't
 * delivered before settle_path() says that it is there. Otherwise this says nothing.
 */
void settle_begun(struct settle *s, const char *path);

/* Nothing that is known is right any more. */
void settle_everything(struct settle *s, bool overflow);

/* Deliver now what there is. */
void settle_flush(struct settle *s);
