/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Console
 *
 * What the keys do, and what happens when the terminal's size changes. Loop's thread only.
 */

#include <uv.h>

struct console;
struct plugins;
struct terminal;

struct console_options {
	struct plugins *plugins;   /* borrowed, both */
	struct terminal *terminal;
	const char *url;           /* copied */
	void (*quit)(void *context);
	void *context;
};

/* Keeps no loop running. */
struct console *console_new(uv_loop_t *loop, const struct console_options *o);

/* The plugins go: only what ends the server is left to do. NULL is fine. */
void console_stop(struct console *c);

/* The memory goes when the loop runs next. NULL is fine. Returns NULL. */
struct console *console_free(struct console *c);

/* The server is ready: say that there are keys, if there are. NULL is fine. */
void console_greet(struct console *c);
