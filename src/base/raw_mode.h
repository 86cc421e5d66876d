/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Raw mode
 *
 * A terminal that hands over each key as it is pressed and doesn't print it. Keys that send
 * signals (Ctrl-C, Ctrl-Z) still do, and what is printed is treated as ever. The terminal is
 * the user's: it gets its mode back when we leave, exit() or crash; what stops us must call
 * raw_mode_leave() itself, and nothing helps against SIGKILL. One terminal a process.
 */

#include <stdbool.h>

/* Whether the terminal is ours to read from and to set: we are its foreground job. */
bool raw_mode_is_ours(int fd);

/* 0, or -errno. When it is in raw mode already, 0. Only while it is ours. */
int raw_mode_enter(int fd);

/* As it was before; nothing where it isn't in raw mode, or not ours any more. Safe in a signal handler. */
void raw_mode_leave(void);
