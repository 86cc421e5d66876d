/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Save
 *
 * One save that is acted on, from its build to the event save.done:
 *
 *	build → inspect → roll out → swapped | build-failed | trial-failed | refused | superseded
 *
 * A newer save of the same plugin cancels the build of an older one. Loop's thread only.
 */

#include <stdbool.h>
#include <stdint.h>

struct hash;
struct plugin;

/* Act on what lies on disk. @since_ns: the first event of the save. */
void save_start(struct plugin *p, uint64_t since_ns);

/* Something was written, and nothing is different: tell just that. */
void save_unchanged(struct plugin *p, uint64_t since_ns);

struct save;

/* Whether its answers are meant to be others than before. */
bool save_accepts(const struct save *s);

/* One, or the reading of weights that may bring one. */
bool save_is_under_way(const struct plugin *p);

/* How many may come to serve any moment; @ret_source: the newest's. */
unsigned save_count_rolling(const struct plugin *p, struct hash *ret_source);

/* The plugin goes: every save ends here and now. Its rollouts must have been dropped. */
void save_end_all(struct plugin *p, const char *reason);

/* The same without a word: the server ends. */
void save_forget_all(struct plugin *p);
