/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Keyboard
 *
 * Keys as they are pressed on the terminal that is stdin, while we are its foreground job. Ctrl-Z
 * stops us as it does any other program, and the terminal is in its own mode meanwhile.
 * Loop's thread only; keeps no loop running.
 */

#include <stdbool.h>
#include <uv.h>

struct keyboard;

enum { KEY_ESCAPE = 27 };

struct keyboard_callbacks {
	/* A character; KEY_ESCAPE for that key alone, nothing for cursor keys and their like. */
	void (*key)(void *context, char key);
	/* We were stopped, and others wrote to the terminal. */
	void (*resumed)(void *context);
	void *context;
};

/* NULL: stdin is no terminal, or one that is dumb. */
struct keyboard *keyboard_new(uv_loop_t *loop, const struct keyboard_callbacks *cb);

/* Whether keys come now; not while we are in the background. NULL is fine. */
bool keyboard_is_read(const struct keyboard *k);

/* The terminal gets its mode back. The memory goes when the loop runs next. NULL is fine. Returns NULL. */
struct keyboard *keyboard_free(struct keyboard *k);
