/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Log
 *
 * What deployments print: an event for each line, and a line in state_dir/logs/NAME.log,
 *
 *	2026-01-31T14:03:22.123Z gen 7 info text
 *
 * without "gen 7" where the worker has no generation: it tries an image, or belongs to none yet.
 * Bounded both ways: LOG_LINES and LOG_BYTES a second and deployment, the rest is counted and
 * the count told; a file that has grown to LOG_FILE_SIZE becomes NAME.log.1. Files are written
 * by libuv's threads, never by the loop's. Loop's thread only.
 */

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define LOG_LINES 200
#define LOG_BYTES (UINT64_C(256) << 10)
#define LOG_FILE_SIZE (UINT64_C(1) << 20)

struct events;
struct log;

/* @state_dir: NULL: no files. */
struct log *log_new(uv_loop_t *loop, struct events *events, const char *state_dir);

/* Tells what is still to be told. The loop must run on until the last write has ended. NULL is fine. Returns NULL. */
struct log *log_free(struct log *l);

/* @generation: 0: none. @level: enum devserve_level. */
void log_line(struct log *l, const char *deployment, uint32_t generation, int level, const char *text,
	      size_t size);
