/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * TAP, version 13: what `devserve test` prints. A line for each golden case, one for a deployment that
 * has none, and one for a deployment that can't be built or loaded at all.
 */

struct events;
struct tap_sink;

struct tap_sink *tap_sink_new(struct events *events);

/* Prints the plan. Before events_free(). NULL is fine. Returns NULL. */
struct tap_sink *tap_sink_free(struct tap_sink *s);
