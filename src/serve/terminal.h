/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Terminal
 *
 * The sink for people: one calm line a save, what the compiler said as it said it, and
 * what is wrong in a sentence. On stdout. On a terminal a line below tells what is being built.
 */

#include <stdbool.h>

struct events;
struct options;
struct reports;
struct terminal;

struct terminal *terminal_new(struct events *events, const struct options *o);

/* Flushes, for at most a moment. Before events_free(). NULL is fine. Returns NULL. */
struct terminal *terminal_free(struct terminal *t);

/* Whose reports lines about a crash wait for; NULL: they don't wait any more. */
void terminal_set_reports(struct terminal *t, const struct reports *reports);

/* It is told what could be served, not what is. */
void terminal_set_checking(struct terminal *t);

/* A line of its own, that is no event; broken where it is too long. */
void terminal_say(struct terminal *t, const char *line);

/* Whether stdout is a terminal where a prompt can be shown. */
bool terminal_is_live(const struct terminal *t);

/* What lies below the lines, in place of the progress, until it is set to NULL. */
void terminal_set_prompt(struct terminal *t, const char *prompt);

/* Don't show log lines, or show them again; says so. */
void terminal_toggle_logs(struct terminal *t);

/* Empty the screen but for the line that says where the server is. */
void terminal_clear(struct terminal *t);

/* The terminal has another size, or others wrote to it. */
void terminal_redraw(struct terminal *t);
