/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Report
 *
 * From the raw numbers that a crashed worker left (ring/crash.h) to an event crash.report with
 * functions and lines, or from a sanitizer's report to sanitizer.report. devserve-debug reads the debug information, in a process of its own with
 * limits; when it fails, or takes too long, the event comes without frames. Loop's thread only.
 */

#include <stdbool.h>
#include <uv.h>

struct deploy_crash;
struct events;
struct reports;

/* @events: borrowed. @on_idle: none is under way any more. */
struct reports *reports_new(uv_loop_t *loop, struct events *events, void (*on_idle)(void *context), void *context);

bool reports_busy(const struct reports *r);

/* Whether an event for @deployment is still to come. */
bool reports_are_due(const struct reports *r, const char *deployment);

/* No event comes any more. NULL is fine. Returns NULL. */
struct reports *reports_free(struct reports *r);

/* The images are opened during the call: their files may go right after it. */
void reports_add(struct reports *r, const struct deploy_crash *c);
