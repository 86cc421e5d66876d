/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Crash
 *
 * The signal handler that writes down (ring/crash.h) where this process died and then lets it
 * die of the very signal. On a stack of its own in the threads that are ours.
 */

#include <stdint.h>

struct link_shared;

/* Once, before any plugin's code. SIGXCPU is what the server sends a call that takes too long. */
void crash_catch(struct link_shared *link);

/* This thread is @thread (enum crash_thread) and gets a signal stack. */
void crash_enter_thread(uint32_t thread);

/* From now on exit() is the worker's own. */
void crash_expect_exit(void);

/*
 * Memory is not to be trusted any more although nothing faulted: record @what with @function as
 * the only frame, and die of SIGABRT.
 */
_Noreturn void crash_end(const char *what, uintptr_t function);
