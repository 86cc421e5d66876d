/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The bounds of a history. What is pinned stays whatever they say, and so does what serves.
 */

struct database;

#define HISTORY_SAVES 20000               /* of one deployment; its generations are of those */
#define HISTORY_EVENTS 20000              /* of all */
#define HISTORY_IMAGES 50                 /* of one deployment, the newest */
#define HISTORY_IMAGE_BYTES (512LL << 20) /* of all, likewise */
#define HISTORY_SOURCE_BYTES (64LL << 20) /* packed */

/* Outside of a transaction. What fails is done the next time. */
void trim(struct database *d, const char *state_dir);
