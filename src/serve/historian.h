/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Historian
 *
 * Hears all events and tells the history of those that it keeps. Loop's thread only.
 */

struct event;
struct events;
struct history;

struct historian;

/* Both borrowed. */
struct historian *historian_new(struct events *events, struct history *history);
/* NULL is fine. Returns NULL. */
struct historian *historian_free(struct historian *h);
