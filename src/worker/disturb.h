/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Disturb
 *
 * Hold up the threads of a call at moments that are left to chance, as a busy machine would: what two of
 * them do at once by mistake then shows in what comes out, where by themselves they mostly miss each other.
 */

#include <stdbool.h>
#include <stdint.h>

/* The call that comes, of the calling thread's and those that it starts, which takes @call_ns by itself. [infer] */
void disturb_begin(uint64_t call_ns);

/* It is over. False: a system call of its was interrupted and may have said so, and what came of that says nothing. */
bool disturb_end(void);

/* A thread of an image's has begun. [any] */
void disturb_thread(void);
