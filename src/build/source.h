/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Source
 *
 * What is known of a source by its path, whatever its content is now: which files its last
 * compilation read, and which it looked for and did not find. So that a header that is
 * saved rebuilds what failed because of it, too.
 */

#include <stdbool.h>

#include "build/words.h"

struct sources;
struct store;

/* @s: borrowed; outlives it. */
struct sources *sources_new(struct store *s);
struct sources *sources_free(struct sources *s);

/* It was compiled and read @paths. */
void sources_read(struct sources *s, const char *source, const struct words *paths);
/* It failed, and @text is what the compiler said. */
void sources_failed(struct sources *s, const char *source, const char *text);
/* Whether it compiles only by the later C++ standard; as long as we run. */
bool sources_is_late(struct sources *s, const char *source);
void sources_set_late(struct sources *s, const char *source);
/* Append the files that count: what it read, and where a missing one would be looked for. */
void sources_paths(struct sources *s, const char *source, const struct words *searched,
		   struct words *ret);
/* Whether a change, or a new file, at @path may matter to it. */
bool sources_depends(struct sources *s, const char *source, const char *path);
