/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Entry
 *
 * What the history is told: an event, and of a save also what it had built.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

struct history_file {
	const char *path; /* from the root: "matmul/matmul.c" */
	const char *text; /* as it was compiled */
	size_t size;
	struct hash hash; /* of the text */
};

/* What it takes to serve a build again, and to read it. */
struct history_build {
	struct hash source, image, device, weights, libraries; /* zero: none */
	const char *compiler; /* "gcc version 12.2.0 (…)"; or NULL */
	const char *flags;    /* or NULL */
	const char *image_path, *device_path; /* in the store; or NULL */
	const struct history_file *files;
	size_t n_files;
};

struct history_entry {
	int64_t at_ms;          /* since 1970 */
	const char *event;      /* its name: "save.done" */
	const char *deployment;
	uint32_t generation, from;
	uint64_t build;
	const char *outcome, *reason; /* or NULL */
	uint64_t took_ns;
	const char *json;       /* the event */
	const struct history_build *built; /* of a save that swapped; or NULL */
};

/* A copy of all of it; free with entry_free(). */
struct history_entry *entry_copy(const struct history_entry *e);
struct history_entry *entry_free(struct history_entry *e);

/* Bytes that a copy takes, about. */
size_t entry_size(const struct history_entry *e);
