/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Screen
 *
 * Lines on stdout and, where it is a terminal that isn't dumb, one live line below them that is
 * written over: it goes before a line is printed and comes back after it. It is cut to the
 * width of the terminal, and so never wraps. Loop's thread only; never blocks (output.h).
 */

#include <stdbool.h>
#include <stddef.h>

struct screen;

/* @fd stays the caller's. */
struct screen *screen_new(int fd);

/* The live line goes; what waits is written, for at most a moment. NULL is fine. Returns NULL. */
struct screen *screen_free(struct screen *s);

/* Whether there is a place for a live line. */
bool screen_is_live(const struct screen *s);

/* Columns to break sentences at; 0: it's no terminal. */
size_t screen_columns(const struct screen *s);

/* Whole lines. */
void screen_print(struct screen *s, const char *lines, size_t size);

/* One line without '\n', or NULL: none any more. Where there is no place for it nothing happens. */
void screen_set_live(struct screen *s, const char *line);

/* Empty the terminal; what is live stays. */
void screen_clear(struct screen *s);

/* The terminal has another size, or others wrote to it. */
void screen_redraw(struct screen *s);
