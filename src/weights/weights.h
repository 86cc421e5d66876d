/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Weights, the server's side
 *
 * Files → snapshots → a set that workers can map. Files that look as they did are not read
 * again; what must be read is read by a thread beside the loop. Loop's thread only.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/hash.h"

struct weights;     /* one a server */
struct weights_job; /* files being copied */
struct weights_files;

/* What a plugin's files are at one moment. Immutable, counted. */
struct weights_set {
	struct hash hash;  /* of names and contents; zero: there are no files */
	const char *index; /* for struct rollout; NULL: no files, or `error` */
	const char *error; /* a sentence: these can't be served; or NULL */
};

/* Where workers read of the set of that hash, while it is kept: @directory as below; free(). */
char *weights_index_path(const char *directory, struct hash hash);

/* Snapshots go to @directory, which is made where it isn't there, from @base down. */
struct weights *weights_new(uv_loop_t *loop, const char *base, const char *directory);
/* No set and no job may be left. NULL is fine. Returns NULL. */
struct weights *weights_free(struct weights *w);

/* The set of these files, a reference of the caller's; NULL: they must be read first. */
struct weights_set *weights_known(struct weights *w, const struct weights_files *files);

/* Read them. @done comes once, later; the set is a reference of its receiver's. */
typedef void (*weights_done_fn)(void *context, struct weights_set *set);
struct weights_job *weights_read(struct weights *w, const struct weights_files *files, weights_done_fn done,
				 void *context);
/* Whether it reads these files as they are now: then its set is worth waiting for. */
bool weights_job_is_current(const struct weights_job *job, const struct weights_files *files);
/* @done won't come. NULL is fine. Returns NULL. */
struct weights_job *weights_cancel(struct weights_job *job);

struct weights_set *weights_set_ref(struct weights_set *s);
/* NULL is fine. Returns NULL. */
struct weights_set *weights_set_unref(struct weights_set *s);

/* Remove the snapshots that no set refers to; cheap where nothing has changed. */
void weights_tidy(struct weights *w);
