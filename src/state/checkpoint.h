/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Checkpoint
 *
 * A copy of a state in a file: a page that says what it is, and two slots that are written in
 * turn. The slot that isn't the newest is filled, then one store makes it the newest, so that
 * whoever is killed at any instant leaves a whole one. The file outlives the worker and the
 * server; nothing is synced, so it need not outlive the machine.
 *
 * Behind the slots stands the layout of the state's struct (state/layout.h) where it is known, so
 * that an image with another one can find the members.
 *
 * A file has one writer: each worker makes its own, which takes the place of the one before
 * with its first checkpoint. What is late (the child of a dead worker) writes where nobody
 * reads.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes of a state up to which one is made of each batch, before its answers. */
#define CHECKPOINT_EVERY_BATCH (UINT64_C(64) << 10)

/* What is there. */
struct checkpoint {
	int fd;
	uint64_t size; /* of the state */
	uint32_t version;
	uint64_t offset; /* of the newest slot */
	uint64_t sequence; /* of it: counts checkpoints */
	uint64_t layout_size; /* bytes of its text; 0: not known */
	uint32_t generation;  /* that it is of; 0: not known */
	uint64_t image_low, image_high; /* where its image was mapped; 0: not known */
};

enum { CHECKPOINT_E_FOREIGN = 1 }; /* not one that this program on this machine could have written */

/* 0, CHECKPOINT_E_FOREIGN with a sentence in @why, or -errno (-ENOENT: there is none). */
int checkpoint_open(const char *path, struct checkpoint *ret, char *why, size_t size);
/*
 * Its bytes into @ret, which holds c->size of them; of a newer one, which @c is of then, where the one that was
 * opened has been written over. 0, or -errno.
 */
int checkpoint_read(struct checkpoint *c, void *ret);
/* The same for a part of it. */
int checkpoint_read_part(const struct checkpoint *c, uint64_t at, uint64_t size, void *ret);
/* Of its struct; NULL: not known. */
struct layout *checkpoint_layout(const struct checkpoint *c);
/* Whether what was read is of one checkpoint: no newer one was made meanwhile. */
bool checkpoint_is_newest(const struct checkpoint *c);
void checkpoint_close(struct checkpoint *c);

struct checkpoint_writer;
struct layout;

/* With room for both slots beside @path, which stays as it is. @layout: or NULL. 0, or -errno (-ENOSPC). */
int checkpoint_writer_new(const char *path, uint64_t size, uint32_t version, const struct layout *layout,
			  struct checkpoint_writer **ret);
/* What it wrote stays. NULL is fine. Returns NULL. */
struct checkpoint_writer *checkpoint_writer_free(struct checkpoint_writer *w);

/*
 * Copy @state, make that the newest, and with the first one the file that @path names. Calls
 * nothing but memcpy() and rename(): a forked child may do it. 0, or -errno.
 */
int checkpoint_write(struct checkpoint_writer *w, const void *state);
/* Of which generation the next ones are, and where its image is mapped. */
void checkpoint_is_of(struct checkpoint_writer *w, uint32_t generation, uint64_t image_low, uint64_t image_high);
/* A child did. */
void checkpoint_was_written(struct checkpoint_writer *w);
