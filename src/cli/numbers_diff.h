/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The answers of two images to the same requests: golden cases, kept cases, and, while a server runs,
 * its newest recordings.
 */

#include <stddef.h>

#include "cli/run_case.h"

struct buffer;

struct numbers_image {
	const char *path, *device, *weights; /* absolute; of the latter two, what it has none of is NULL */
};

struct numbers_options {
	const char *name, *root, *state_dir; /* of the deployment; as options have them */
	struct numbers_image before, after;
};

/* @what: "golden/zeros", "case 17", "recording 4711". @run: what @after answered, beside @before's. */
typedef void (*numbers_fn)(void *context, const char *what, const struct case_run *run);

/* 0; or the status to exit with and a sentence. */
int numbers_diff(const struct numbers_options *o, numbers_fn on_case, void *context, struct buffer *why);
