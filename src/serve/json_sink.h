/* SPDX-License-Identifier: MIT */
#pragma once

/* `--json`: every event, one object a line, on stdout. */

struct events;
struct json_sink;

struct json_sink *json_sink_new(struct events *events);

/* Flushes, for at most a moment. Before events_free(). NULL is fine. Returns NULL. */
struct json_sink *json_sink_free(struct json_sink *s);
