/* SPDX-License-Identifier: MIT */

/*
 * IN_CLOSE_WRITE and IN_MOVED_TO tell when a save is over, so a rest of 10 ms is only for
 * what comes along with it: the second file of "save all", the removal of a backup. A
 * checkout is another thing: hundreds of files with gaps as long as the disk likes. More
 * than STORM_PATHS paths make it one, and then the rest is longer. LONGEST_MS ends a batch
 * that would never rest.
 *
 * Between "vanished" and "written" there can be an fsync(): Vim with backupcopy=no renames
 * the file away, makes it anew, writes, syncs and closes. Delivered within that, the file
 * would be gone or half there. So a batch with a file that is being made again (n_open)
 * waits for its end.
 *
 * libuv's timers count whole milliseconds from the loop's cached time and may fire up to
 * one early. What is due is decided by the clock; the timer only says when to look.
 */

#include "watch/settle.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "watch/watch.h"

#define STORM_PATHS 20
#define STORM_REST_MS 200
#define LONGEST_MS 2000
#define MOST_PATHS 10000

static void on_time(uv_timer_t *timer);

void settle_init(struct settle *s, uv_loop_t *loop, unsigned quiet_ms, settle_fn deliver,
		 void *context)
{
	*s = (struct settle){ .quiet_ms = quiet_ms, .deliver = deliver, .context = context };
	uv_timer_init(loop, &s->timer);
}

void settle_fini(struct settle *s)
{
	path_set_fini(&s->paths);
}

static uint64_t due_ns(const struct settle *s)
{
	bool storm = s->storm || s->paths.n_paths > STORM_PATHS;
	uint64_t rest_ms = storm && s->quiet_ms < STORM_REST_MS ? STORM_REST_MS : s->quiet_ms;
	uint64_t rested = s->last_ns + rest_ms * NS_PER_MS;
	uint64_t latest = s->first_ns + LONGEST_MS * NS_PER_MS;

	return s->n_open || rested > latest ? latest : rested;
}

static void arm(struct settle *s)
{
	uint64_t now = clock_ns(), due = due_ns(s);
	uint64_t left_ms = due > now ? (due - now + NS_PER_MS - 1) / NS_PER_MS : 0;

	uv_update_time(s->timer.loop);
	uv_timer_start(&s->timer, on_time, left_ms, 0);
}

static void on_time(uv_timer_t *timer)
{
	struct settle *s = container_of(timer, struct settle, timer);

	if (clock_ns() < due_ns(s))
		arm(s);
	else
		settle_flush(s);
}

static void touch(struct settle *s)
{
	s->last_ns = clock_ns();
	if (!s->first_ns)
		s->first_ns = s->last_ns;
}

void settle_path(struct settle *s, const char *path)
{
	struct path_set_slot *slot;

	touch(s);
	if (!s->everything && s->paths.n_paths == MOST_PATHS && !path_set_find(&s->paths, path)) {
		settle_everything(s, false);
		s->storm = true;
	}
	if (!s->everything) {
		slot = path_set_add(&s->paths, path);
		s->n_open -= slot->open;
		slot->open = false;
	}
	arm(s);
}

void settle_begun(struct settle *s, const char *path)
{
	struct path_set_slot *slot = path_set_find(&s->paths, path);

	if (!slot)
		return;
	touch(s);
	s->n_open += !slot->open;
	slot->open = true;
	arm(s);
}

void settle_everything(struct settle *s, bool overflow)
{
	touch(s);
	path_set_fini(&s->paths);
	s->n_open = 0;
	s->everything = true;
	s->overflow |= overflow;
	s->storm |= overflow;
	arm(s);
}

/* What @deliver changes belongs to the next batch. */
void settle_flush(struct settle *s)
{
	struct path_set paths = s->paths;
	const char **sorted = path_set_sorted(&paths);
	struct watch_batch batch = {
		.paths = sorted,
		.n_paths = paths.n_paths,
		.everything = s->everything,
		.overflow = s->overflow,
		.first_ns = s->first_ns,
	};

	uv_timer_stop(&s->timer);
	s->paths = (struct path_set)PATH_SET_NULL;
	s->n_open = 0;
	s->everything = s->overflow = s->storm = false;
	s->first_ns = 0;
	if (batch.first_ns)
		s->deliver(s->context, &batch);
	free(sorted);
	path_set_fini(&paths);
}
