/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * TAP, version 13: what `devserve test` prints. A line for each golden case, one for a deployment that
 * has none, and one for a deployment that can't be built or loaded at all.
 */

#include <stdbool.h>

struct events;
struct tap_sink;

/* @strict: what needs a device that isn't there fails, instead of being skipped. */
struct tap_sink *tap_sink_new(struct events *events, bool strict);

/* The test doesn't come to its end: @why. NULL is fine; the first reason counts. */
void tap_sink_bail(struct tap_sink *s, const char *why);

/* Prints all, in order of names, and the plan. Before events_free(). NULL is fine. Returns NULL. */
struct tap_sink *tap_sink_free(struct tap_sink *s);
