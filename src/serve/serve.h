/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Serve
 *
 * The composition root: one loop, and watch, build, deploy and ingress wired to it. What the
 * modules below tell by callback meets here and nowhere else.
 */

#include <stddef.h>

struct options;

/* Serve until a signal comes. The exit status. */
int serve_run(const struct options *o);

/* The same of those named, or all, with their golden cases; prints TAP. The exit status. */
int serve_test(const struct options *o, const char *const *names, size_t n);

/* Build, load and report everything once, without listening. The exit status. */
int serve_check(const struct options *o);
