/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * State
 *
 * The memory that a deployment keeps across swaps and deaths (<devserve/ext/state.h>). It is
 * private to the worker, at an address that is the same in every worker; what other workers
 * see of it is the newest checkpoint, in a file that two slots share in turn.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image;
struct link_load;
struct state;

/* Between checkpoints of a state that is too large for one a batch; 0: the default. [infer] */
void state_set_period(struct state *s, unsigned ms);

/* One a worker. */
struct state *state_new(void);

/*
 * A trial: whether @image would get its state from the checkpoint at @path (which need not be
 * there yet), migrate() included, on a copy. 0, or an errno with @sentence. [control]
 */
int state_try(const struct image *image, const char *path, char *sentence, size_t size);
/* The image that wrote it goes: whether no address in that one is left in the copy. The same. [control] */
int state_try_swap(const struct image *image, const struct link_load *load, char *sentence, size_t size);
/* The copy, which the image's check() could see, goes. [control] */
void state_try_end(const struct image *image);

/* Before the first state_enter(): the checkpoint is only read, and none is made. [infer] */
void state_keep_private(struct state *s);

/*
 * @image is about to serve: its state is there afterwards, kept, restored from the checkpoint at
 * @path (the first time in this worker), migrated, or zero. A failure ends the process: the
 * server then goes on with the image before. [infer]
 */
void state_enter(struct state *s, const struct image *image, const char *path);

/*
 * The batch has ended. A small state is copied at once, before the call's LINK_DONE, so that
 * what a client was told is never lost; a large one now and then, and here only if it is late.
 * @idle: no call waits. [infer]
 */
void state_checkpoint(struct state *s, bool idle);

/* Nothing is to be done: make the checkpoint that is due. [infer] */
void state_catch_up(struct state *s);
/* In how many nanoseconds state_catch_up() will have something to do; 0: it won't. [infer] */
uint64_t state_due_ns(const struct state *s);

/* The last checkpoint before the process ends, whatever the policy. [infer] */
void state_leave(struct state *s);
