/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Look
 *
 * Ask the compiler, after a build, which loops it vectorised. A compiler that tells takes up to
 * a tenth longer, which no save should wait for: so it compiles once more, when nobody else
 * wants the processor and nothing is being measured, for nothing but what it says. What it said is
 * kept in the store.
 *
 * One look at a time, in order. Loop's thread only.
 */

#include "base/hash.h"

struct builder;
struct look;
struct loops;
struct recipe;

/*
 * @sources is what the build of @r read (struct build_result). @loops lives during the callback; NULL: it can't be told,
 * because the sources have changed since, or their compiler doesn't tell. The look is gone afterwards.
 */
typedef void (*look_done_fn)(void *context, const struct loops *loops);

/* @done comes from the loop, later. */
struct look *look_start(struct builder *b, const struct recipe *r, struct hash sources, look_done_fn done,
			void *context);

/* @done will not come. NULL is fine. Returns NULL. */
struct look *look_cancel(struct look *l);
