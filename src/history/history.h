/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * History
 *
 * What became of every save, and what served when, kept in state_dir/history.db; and the images of
 * generations that may serve again. Written by libuv's threads, in the order in which it was told;
 * the loop waits for nothing. Loop's thread only.
 *
 * A file that can't be written costs its rows, never the server: one sentence says so, what is told
 * meanwhile is held as far as it is bounded, and it is tried again.
 */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/hash.h"

struct history;
struct history_entry;
struct history_request;

struct history_options {
	const char *state_dir;
	const char *version;
	void (*notice)(void *context, const char *sentence);
	void *context;
};

struct history *history_new(uv_loop_t *loop, const struct history_options *o);

/*
 * Writes what waits, tries once where it fails; no notice comes any more, nor any answer. The loop
 * must run on until it has ended. NULL is fine. Returns NULL.
 */
struct history *history_free(struct history *h);

/* Copies it. NULL is fine. */
void history_add(struct history *h, const struct history_entry *e);

struct history_answer {
	const char *error;   /* a sentence: it isn't known; or NULL */
	uint32_t generation; /* its number; 0: there is no such generation */
	struct hash source, image, device, weights, libraries; /* of it; zero: none */
	const char *image_path, *device_path; /* kept, and whole; NULL: not any more, or none */
};

/* @a and all in it live during the call. */
typedef void (*history_answer_fn)(void *context, const struct history_answer *a);

/*
 * A generation: the one of that number, or, for 0, the newest before @before that can serve again.
 * All that was told earlier is written by then. @done comes later, once.
 */
struct history_request *history_find(struct history *h, const char *deployment, uint32_t generation,
				     uint32_t before, history_answer_fn done, void *context);

/* @done won't come. NULL is fine. Returns NULL. */
struct history_request *history_cancel(struct history_request *r);
