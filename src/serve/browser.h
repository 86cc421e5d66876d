/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Browser
 *
 * Opens addresses with xdg-open, which is no child like others: it may become the browser, and
 * that stays when we end. Loop's thread only.
 */

#include <uv.h>

struct browser;

/* Keeps no loop running. */
struct browser *browser_new(uv_loop_t *loop);

/* What was opened stays open. The memory goes when the loop runs next. NULL is fine. Returns NULL. */
struct browser *browser_free(struct browser *b);

/* 0, or -errno; -ENOENT: there is no xdg-open. */
int browser_open(struct browser *b, const char *url);
